"""Children of the tests: waiting, free ports, processes ended by their pid.

Python's own library alone: `make run` has no other.
"""

import os
import pathlib
import pwd
import random
import select
import signal
import socket
import subprocess
import tempfile
import time


def await_(what, condition, seconds=10.0):
    """Asks condition() until it is true; its value. Raises after a while."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {seconds} s for {what}")
        select.select([], [], [], 0.02)


def free_port():
    """A loopback port that nobody listens on now.

    Below the range from which the kernel takes ports of outgoing
    connections: one of those could sit on it while a hub restarts.
    """
    while True:
        port = random.randrange(10000, 32000)
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port


def served_by():
    """Whom a database server runs as, for subprocess: never as root."""
    if os.geteuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        try:
            user = pwd.getpwnam(name)
        except KeyError:
            continue
        return {"user": user.pw_uid, "group": user.pw_gid,
                "extra_groups": []}
    raise LookupError("neither postgres nor nobody is a user here")


def server_folder(prefix):
    """A fresh folder that a database server may write."""
    folder = tempfile.mkdtemp(prefix=prefix)
    who = served_by()
    if who:
        os.chown(folder, who["user"], who["group"])
    return pathlib.Path(folder)


class Process:
    """A child with its log in a file; stopped by its pid alone."""

    def __init__(self, folder, name):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.name = name
        self.log = self.folder / f"{name}.log"
        self.child = None
        self.stderr = None  # a descriptor in place of the log

    def spawn(self, argv, env=None, stdout=None, **how):
        with open(self.log, "ab") as log:
            self.child = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=stdout or log,
                stderr=log if self.stderr is None else self.stderr,
                cwd=self.folder,
                env={**os.environ, **(env or {})}, **how)

    @property
    def pid(self):
        return self.child.pid

    def running(self):
        return self.child is not None and self.child.poll() is None

    def stop(self, sig=signal.SIGTERM, seconds=15):
        """Ends it; its exit status. A child that stays is killed."""
        if self.child is None:
            return None
        if self.running():
            self.child.send_signal(sig)
        try:
            status = self.child.wait(seconds)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()
            raise
        finally:
            if self.child.stdout:
                self.child.stdout.close()
        self.child = None
        return status

    def tail(self, lines=60):
        try:
            text = self.log.read_text(errors="replace")
        except FileNotFoundError:
            return ""
        return "\n".join(text.splitlines()[-lines:])
