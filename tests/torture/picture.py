"""The picture of a run: requests, events that wait, and faults, over time."""

import collections
import html

WIDTH, LEFT = 1000, 110
SERIES = {"served": "#2a7", "refused": "#48c", "cut, left or lost": "#d80"}
WAITING = {"in memory": "#a3c", "for the store": "#b22"}
ROW = 14    # height of a victim's


def series_of(seen):
    """Which line a request counts in."""
    if seen.status == 200 and seen.end == "done":
        return "served"
    if seen.status and seen.end == "done":
        return "refused"
    return "cut, left or lost"


class Picture:
    """began_ms: of the run, on the clock of the load."""

    def __init__(self, began_ms, seconds):
        self.began_ms, self.seconds = began_ms, max(seconds, 1)
        self.load = {name: collections.Counter() for name in SERIES}
        self.out = []

    def took(self, seen):
        self.load[series_of(seen)][(seen.ms - self.began_ms) // 1000] += 1

    def x(self, seconds):
        return LEFT + seconds * (WIDTH - LEFT - 10) / self.seconds

    def text(self, x, y, words, color="#333"):
        self.out.append(f'<text x="{x:.0f}" y="{y:.0f}" fill="{color}">'
                        f'{html.escape(words)}</text>')

    def lines(self, top, height, title, lines, colors):
        """lines: by name, points (seconds, value)."""
        most = max([v for points in lines.values() for _, v in points] + [1])
        self.text(4, top + 12, title)
        self.text(4, top + 28, f"at most {most}", "#888")
        self.out.append(
            f'<rect x="{LEFT}" y="{top}" width="{WIDTH - LEFT - 10}" '
            f'height="{height}" fill="#fafafa" stroke="#ddd"/>')
        for i, (name, points) in enumerate(lines.items()):
            path = " ".join(f"{self.x(t):.1f},"
                            f"{top + height - v * (height - 4) / most:.1f}"
                            for t, v in points)
            self.out.append(f'<polyline points="{path}" fill="none" '
                            f'stroke="{colors[name]}"/>')
            self.text(4, top + 46 + 14 * i, name, colors[name])
        return top + height + 16

    def faults(self, top, faults):
        names = sorted({f.name for f in faults if f.done})
        for i, name in enumerate(names):
            y = top + i * ROW
            self.text(4, y + ROW - 4, name)
            for f in faults:
                if f.done and f.name == name:
                    width = max(2, self.x(f.seconds) - self.x(0))
                    self.out.append(
                        f'<rect x="{self.x(f.at):.1f}" y="{y + 3}" '
                        f'width="{width:.1f}" height="{ROW - 5}" '
                        f'fill="#b22" fill-opacity="0.6"/>')
        return top + len(names) * ROW + 16

    def svg(self, title, faults, waiting):
        """waiting: by name of WAITING, points."""
        self.text(4, 16, title)
        y = self.lines(28, 160, "requests a second", {
            name: sorted((t, n) for t, n in per.items() if t >= 0)
            for name, per in self.load.items()}, SERIES)
        y = self.lines(y, 100, "rows that wait", waiting, WAITING)
        y = self.faults(y, faults)
        return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" '
                f'height="{y}" font-family="sans-serif" font-size="11">\n'
                f'<rect width="100%" height="100%" fill="white"/>\n' +
                "\n".join(self.out) + "\n</svg>\n")
