"""What a bench found: the table, the targets and the drawing."""

import html

from sites import BOTH, HUB

COLUMNS = [("cpu", "CPU us", 1), ("ratio", "/ openai", 2),
           ("each", "events", 0), ("p50", "p50 us", 0), ("p99", "p99 us", 0),
           ("added_p50", "added50", 0), ("added_p99", "added99", 0),
           ("lag_p50", "lag p50", 0), ("lag_p99", "lag p99", 0),
           ("abort_p50", "p50 ms", 2), ("abort_p99", "p99 ms", 2),
           ("kib", "KiB", 1), ("rate", "per s", 0),
           ("waited", "rows", 0), ("seconds", "s", 1), ("rows", "rows/s", 0),
           ("generator", "gen %", 0), ("simulator", "sim %", 0)]
BUSY = 0.8
WIDTH = 26  # of the longest part's name


def valid(row):
    return row["generator"] <= BUSY and row["errors"] == 0


def groups(rows):
    """Rows by what was done, plain before TLS, in order."""
    found = {}
    for row in rows:
        found.setdefault((row["what"], row["tls"]), []).append(row)
    return found.items()


def title(what, tls):
    return what + (", TLS" if tls else "")


def line(row, columns):
    name = f"{row['part']:<{WIDTH}}"
    if not valid(row):
        return (f"{name}not reported: generator at "
                f"{row['generator'] * 100:.0f} % of its core, "
                f"{row['errors']} errors")
    values = {**row, "generator": row["generator"] * 100,
              "simulator": row["simulator"] * 100}
    return name + "".join(
        f"{'-' if values.get(k) is None else f'{values[k]:.{digits}f}':>9}"
        for k, _, digits in columns)


def table(rows):
    """Each group with the columns that it has something in."""
    lines = []
    for (what, tls), group in groups(rows):
        columns = [c for c in COLUMNS
                   if any(r.get(c[0]) is not None for r in group)]
        lines += [title(what, tls),
                  " " * WIDTH + "".join(f"{h:>9}" for _, h, _ in columns)]
        lines += [line(row, columns) for row in group] + [""]
    return "\n".join(lines)


def value(rows, what, tls, part, field):
    for r in rows:
        if (r["what"], r["tls"], r["part"]) == (what, tls, part):
            return r.get(field) if valid(r) else None
    return None


def ratio(rows, what, tls, part, other):
    ours = value(rows, what, tls, part, "cpu")
    theirs = value(rows, what, tls, other, "cpu")
    return ours / theirs if ours and theirs else None


def targets(rows, names, durable):
    """(what, target, reached, whether less is better) each."""
    pair = "nginx, two hops"
    found = []
    for tls in (False, True):
        found += [
            (title("hub: CPU a request / nginx, one hop", tls), 1.5,
             ratio(rows, names["many"], tls, HUB, "nginx, one hop"), True),
            (title(f"hub and agent: CPU a request / {pair}", tls), 1.3,
             ratio(rows, names["many"], tls, BOTH, pair), True),
            (title(f"hub and agent: CPU a paced chunk / {pair}", tls), 1.2,
             ratio(rows, names["slow"], tls, BOTH, pair), True),
            (title("hub: KiB an open stream", tls), 28 if tls else 12,
             value(rows, names["memory"], tls, HUB, "kib"), True),
            (title("abort lag p99, ms", tls), 5,
             value(rows, names["abort"], tls, BOTH, "abort_p99"), True)]
    return found + [("durable events a second", 20000, durable, False)]


def verdict(target, reached, less):
    if reached is None:
        return "not reported"
    good = reached <= target if less else reached >= target
    return "PASS" if good else "short"


def target_table(found):
    lines = [f"{'':<57}{'target':>9}{'reached':>9}"]
    for what, target, reached, less in found:
        digits = 0 if target >= 1000 else 2
        got = "-" if reached is None else f"{reached:.{digits}f}"
        lines.append(f"{what:<57}{target:>9}{got:>9}  "
                     f"{verdict(target, reached, less)}")
    return "\n".join(lines) + "\n"


def svg_group(out, y, name, bars):
    """One group of bars with a scale of its own; where it ends."""
    top = max(v for _, v in bars) or 1
    out.append(f'<text x="10" y="{y}" font-weight="bold">'
               f'{html.escape(name)}</text>')
    for part, v in bars:
        y += 22
        colour = "#2563a8" if "hub" in part else "#9aa5b1"
        out.append(f'<text x="150" y="{y}" text-anchor="end">'
                   f'{html.escape(part)}</text>'
                   f'<rect x="160" y="{y - 13}" width="{400 * v / top:.1f}" '
                   f'height="17" fill="{colour}"/>'
                   f'<text x="{166 + 400 * v / top:.1f}" y="{y}">'
                   f'{v:.1f}</text>')
    return y + 38


DRAWN = [("cpu", "CPU, us"), ("added_p50", "added latency p50, us"),
         ("kib", "KiB"), ("abort_p99", "p99, ms"), ("rows", "rows a second")]


def svg(rows):
    out, y = [], 56
    for (what, tls), group in groups(rows):
        for field, unit in DRAWN:
            bars = [(r["part"], max(0, r[field])) for r in group
                    if valid(r) and r.get(field) is not None]
            if bars:
                y = svg_group(out, y, f"{title(what, tls)}: {unit}", bars)
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="640" '
            f'height="{y - 16}" font-family="sans-serif" font-size="12">'
            '<rect width="100%" height="100%" fill="white"/>'
            '<text x="10" y="24" font-size="15">What a request, a chunk and '
            'a stream cost</text>\n' + "\n".join(out) + "\n</svg>\n")
