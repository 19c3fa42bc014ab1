"""Hubs that are upgraded in place, and the programs to do it with.

The programs are copies of the one under test in which a text is another of
the same length: the version, or what has to be the same in both.
"""

import os
import pathlib
import shutil
import signal
import subprocess

import procs
from procs import await_

VERSION = subprocess.run([procs.program("hubd"), "-V"], capture_output=True,
                         text=True, check=True).stdout.split()[1]


def other_version(n):
    """As long as the real one."""
    return (str(n) + ".9" * len(VERSION))[:len(VERSION)]


def patched(old, new):
    """The program under test, with other bytes wherever the old ones are."""
    program = pathlib.Path(procs.program("hubd")).read_bytes()
    assert len(old) == len(new) and old in program
    return program.replace(old, new)


def of_version(version):
    return patched(f"\0{VERSION}\0".encode(), f"\0{version}\0".encode())


def gone(pid):
    return not pathlib.Path(f"/proc/{pid}").exists()


class Hub(procs.Hub):
    """A hub whose program is a copy in its own folder."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.program = self.folder / "hubd"
        shutil.copy(procs.program("hubd"), self.program)

    def launch(self):
        self.spawn([str(self.program), "-d", "-f", str(self.conf)],
                   {"FAILPOINT_DIR": str(self.failpoints), **self.env})

    def install(self, program, mode=0o755):
        """Puts these bytes where the hub's program lies."""
        fresh = self.folder / "hubd.new"
        fresh.write_bytes(program)
        fresh.chmod(mode)
        os.rename(fresh, self.program)

    def said(self, text):
        return self.log.read_text().count(text)

    def signal(self, sig, text, seconds=20):
        """Sends it and awaits that the log says so once more."""
        before = self.said(text)
        os.kill(self.pid, sig)
        await_(text, lambda: self.said(text) > before, seconds)

    def refuses(self, why):
        """The upgrade, and goes on."""
        before = self.children()
        self.signal(signal.SIGUSR2, "not upgraded: ")
        line = [line for line in self.log.read_text().splitlines()
                if "not upgraded: " in line][-1]
        assert why in line, line
        assert self.children() == before

    def upgrade(self, n):
        """To the n-th of other versions."""
        version = other_version(n)
        self.install(of_version(version))
        self.signal(signal.SIGUSR2, f"upgraded: hubd {version} serves")
        assert self.ctl("show", "status")["version"] == version

    def processes(self):
        """Command lines of the master's children by pid."""
        found = {}
        for path in pathlib.Path("/proc").glob("[0-9]*/stat"):
            try:
                stat = path.read_text().rsplit(")", 1)[1].split()
                line = (path.parent / "cmdline").read_text()
            except OSError:
                continue
            if int(stat[1]) == self.pid:
                found[int(path.parent.name)] = line
        return found

    def children(self):
        """Titles of living ones by pid."""
        return {pid: line.rstrip("\0")[6:] for pid, line in
                self.processes().items() if line.startswith("hubd: ")}

    def youngest(self, title):
        """Of the children of that title, its pid."""
        return max(p for p, t in self.children().items() if t == title)

    def await_born(self, title, old):
        """Another of that title, ready."""
        await_(f"another {title}", lambda: any(
            t == title and p != old for p, t in self.children().items()))
