"""A real Redis for tests, in a folder and on a port of its own.

Ended by its pid; nothing of a Redis of this machine is touched. It keeps
nothing on disk: one that is restarted is empty, unless persist is asked for.
Only Python's own library is used.
"""

import itertools
import shutil
import signal
import socket

from children import Process, await_, free_port, served_by, server_folder

DATABASES = 1024


class RedisError(Exception):
    """An error that Redis answered."""


class Redis(Process):
    """password: what clients must say; persist: every write is on disk."""

    def __init__(self, password=None, persist=False, options=None):
        self.home = server_folder("hubtest-redis.")
        super().__init__(self.home, "redis")
        self.password = password
        self.persist = persist
        self.socket = self.home / "redis.sock"
        self.options = options or {}
        self.port = None
        self.next_db = itertools.count()

    def start(self):
        """A port taken meanwhile: once more with another."""
        keep = self.port
        for _ in range(5):
            self.port = keep or free_port()
            self.launch()
            await_("Redis", lambda: self.ready() or not self.running(), 30)
            if self.running():
                return self
            if "in use" not in self.tail(10):
                break
            self.child.wait()
        raise AssertionError(f"Redis does not start:\n{self.tail()}")

    def launch(self):
        """Starts it on the port it has, and awaits nothing."""
        options = {
            "bind": "127.0.0.1", "port": self.port, "dir": self.home,
            "unixsocket": self.socket, "unixsocketperm": "777",
            "databases": DATABASES, "daemonize": "no", "save": '""',
            "appendonly": "yes" if self.persist else "no",
            "appendfsync": "always",
            **({"requirepass": self.password} if self.password else {}),
            **self.options}
        conf = self.home / "redis.conf"
        conf.write_text("".join(f"{k} {v}\n" for k, v in options.items()))
        self.spawn([shutil.which("redis-server") or "redis-server",
                    str(conf)], **served_by())

    def ready(self):
        try:
            return self.command("PING") == "PONG"
        except (OSError, RedisError):
            return False

    # ---- faults ------------------------------------------------------------

    def pause(self):
        """It hangs: connections stay, and nobody answers."""
        self.child.send_signal(signal.SIGSTOP)

    def resume(self):
        self.child.send_signal(signal.SIGCONT)

    def end(self, sig=signal.SIGTERM):
        """Ends it; the folder stays for restart()."""
        if self.running():
            self.resume()
        return super().stop(sig)

    def kill(self):
        return super().stop(signal.SIGKILL)

    def restart(self, sig=signal.SIGTERM):
        """On the same port; empty, unless it persists."""
        self.end(sig)
        return self.start()

    def stop(self):
        """The end of it and of its folder."""
        try:
            self.kill()
        finally:
            shutil.rmtree(self.home, ignore_errors=True)

    # ---- databases ---------------------------------------------------------

    def create(self):
        """An empty database; its number."""
        db = next(self.next_db) % DATABASES
        self.command("FLUSHDB", db=db)
        return db

    def url(self, db=0, socket=False):
        """By loopback or by its Unix socket."""
        login = f":{self.password}@" if self.password else ""
        if socket:
            return f"unix://{login}{self.socket}?db={db}"
        return f"redis://{login}127.0.0.1:{self.port}/{db}"

    def command(self, *words, db=0):
        """One command's answer: str, int, None or a list of these."""
        with socket.create_connection(("127.0.0.1", self.port), 10) as s, \
                s.makefile("rwb") as f:
            if self.password:
                ask(f, "AUTH", self.password)
            if db:
                ask(f, "SELECT", db)
            return ask(f, *words)

    def keys(self, db=0, pattern="*"):
        return sorted(self.command("KEYS", pattern, db=db))


def ask(f, *words):
    words = [str(w).encode() for w in words]
    f.write(b"*%d\r\n" % len(words) +
            b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words))
    f.flush()
    return answer(f)


def answer(f):
    """RESP2, one value."""
    line = f.readline()
    if not line.endswith(b"\r\n"):
        raise ConnectionResetError("Redis has closed the connection")
    kind, text = line[:1], line[1:-2].decode()
    if kind == b"+":
        return text
    if kind == b"-":
        raise RedisError(text)
    if kind == b":":
        return int(text)
    n = int(text)
    if n < 0:
        return None
    if kind == b"*":
        return [answer(f) for _ in range(n)]
    return f.read(n + 2)[:-2].decode(errors="replace")
