"""Reads the manual pages: what they document, and their examples."""

import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[2]


def page(name):
    return (ROOT / "man" / name).read_text()


def plain(text):
    """A macro line's arguments without its macros and quotes."""
    words = re.sub(r"\b(Ar|Op|Ic|Cm|Xo|Xc|Ns|No|Li|Pa)\b", " ", text)
    return " ".join(words.replace("|", " ").split())


def items(name, macro, section=None):
    """Terms of tagged lists: what stands behind `.It MACRO` in a page."""
    text = page(name)
    if section is not None:
        text = re.search(rf"^\.S[sh] {section}\n(.*?)(?=^\.S[sh] |\Z)", text,
                         re.M | re.S).group(1)
    return re.findall(rf"^\.It (?:Xo )?{macro} (.+)$", text, re.M)


def examples(name):
    """Literal blocks of the section EXAMPLES."""
    found = re.search(r"^\.Sh EXAMPLES\n(.*?)(?=^\.Sh |\Z)", page(name),
                      re.M | re.S)
    if found is None:
        return []
    return re.findall(r"^\.Bd -literal[^\n]*\n(.*?)^\.Ed", found.group(1),
                      re.M | re.S)


def commands(name):
    """Command lines of the examples: those behind a `$ `."""
    return [line[2:] for block in examples(name)
            for line in block.splitlines() if line.startswith("$ ")]


def shapes(name):
    """What the section OUTPUT says that `-j` has: names of members by
    command; those of its usage are kinds, and left out."""
    text = re.search(r"^\.Sh OUTPUT\n.*?^\.Bd -literal[^\n]*\n(.*?)^\.Ed",
                     page(name), re.M | re.S).group(1)
    found = {}
    for entry in re.split(r"\n(?=\S)", text.strip()):
        command, _, shape = entry.partition("  ")
        found[command] = set(re.findall(r'"(\w+)"', shape))
        same = re.search(r"\bas ([a-z ]+)", shape.strip())
        if same:
            found[command] |= found[same.group(1)]
    return found
