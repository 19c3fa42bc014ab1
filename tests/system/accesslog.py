"""Reads access logs: JSON and logfmt, strictly."""

import json
import re

from procs import await_

FIELD = re.compile(r'([a-z_0-9.]+)=("(?:[^"\\\x00-\x1f]|\\.)*"|[^\s"=\\]+)'
                   r'(?: |$)')


def logfmt(line):
    """A line's fields; quoted values are JSON strings."""
    out, at = {}, 0
    while at < len(line):
        m = FIELD.match(line, at)
        assert m, line[at:]
        name, value = m.groups()
        assert name not in out, line
        out[name] = json.loads(value) if value[0] == '"' else value
        at = m.end()
    return out


def unique(pairs):
    out = dict(pairs)
    assert len(out) == len(pairs), pairs
    return out


class AccessLog:
    """The access log of a hub with access_log at this path."""

    def __init__(self, path, parse=None):
        self.path = path
        self.parse = parse or (
            lambda s: json.loads(s, object_pairs_hook=unique))

    def lines(self):
        text = self.path.read_bytes().decode()  # UTF-8, strictly
        assert text == "" or text.endswith("\n")
        return [self.parse(s) for s in text.split("\n")[:-1]]

    def find(self, **want):
        return [e for e in self.lines()
                if all(e.get(k) == v for k, v in want.items())]

    def one(self, **want):
        """The line; there is exactly one."""
        found = await_(f"a line with {want}", lambda: self.find(**want))
        assert len(found) == 1, found
        return found[0]

    def request(self, fields):
        """The line of the request of a reply."""
        return self.one(event="request", id=fields["x-request-id"])


def options(folder, **more):
    """Options of a hub that logs there."""
    return {"access_log": str(folder / "access.log"), "log_format": "json",
            **more}
