"""A real PostgreSQL for tests, in a folder and on a port of its own.

The cluster is made once by initdb and copied for each server, so that one
starts in a second. As root the server runs as postgres or nobody. It is ended
by its pid; nothing of a PostgreSQL of this machine is touched. Only Python's
own library is used.
"""

import atexit
import itertools
import os
import pathlib
import shutil
import signal
import subprocess

from children import Process, await_, free_port, served_by, server_folder

USER = "hubd"
STOPS = {"smart": signal.SIGTERM, "fast": signal.SIGINT,
         "immediate": signal.SIGQUIT}
OPTIONS = {
    "listen_addresses": "127.0.0.1",
    "max_connections": 200,
    "shared_buffers": "32MB",
    "wal_level": "minimal",
    "max_wal_senders": 0,
    "min_wal_size": "32MB",
    "log_lock_waits": "on",
    "log_line_prefix": "%m [%p] %d ",
}
# What a power cut would lose: processes are killed here, machines are not.
HASTY = {"fsync": "off", "full_page_writes": "off"}

made = {}   # the template, by "cluster"


def program(name):
    """The newest PostgreSQL's, as Debian lays them out, or PATH's."""
    found = sorted(pathlib.Path("/usr/lib/postgresql").glob(f"*/bin/{name}"),
                   key=lambda p: int(p.parts[-3]))
    where = str(found[-1]) if found else shutil.which(name)
    if not where:
        raise FileNotFoundError(f"{name} of PostgreSQL is not installed")
    return where


def template():
    """A cluster to copy; made by the first who asks."""
    if "cluster" not in made:
        folder = server_folder("hubtest-initdb.")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        subprocess.run(
            [program("initdb"), "--no-sync", "--no-instructions",
             "-U", USER, "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8",
             "-D", str(folder / "cluster")],
            check=True, stdout=subprocess.DEVNULL, cwd=folder, **served_by())
        made["cluster"] = folder / "cluster"
    return made["cluster"]


class SqlError(Exception):
    """psql refused; its text says why."""


class PostgreSQL(Process):
    """durable: it fsyncs, which the tests of power cuts need. options: of
    postgresql.conf."""

    def __init__(self, durable=False, options=None):
        self.home = server_folder("hubtest-pg.")
        super().__init__(self.home, "postgresql")
        self.cluster = self.home / "cluster"
        subprocess.run(["cp", "-a", str(template()), str(self.cluster)],
                       check=True)
        self.options = {**OPTIONS, **({} if durable else HASTY),
                        "unix_socket_directories": str(self.home),
                        **(options or {})}
        self.port = None
        self.databases = itertools.count(1)

    def start(self):
        """A port taken meanwhile: once more with another."""
        keep = self.port
        for _ in range(5):
            self.port = keep or free_port()
            self.launch()
            await_("PostgreSQL", lambda: self.ready() or not self.running(),
                   60)
            if self.running():
                return self
            if "in use" not in self.tail(10):
                break
            self.child.wait()
        raise AssertionError(f"PostgreSQL does not start:\n{self.tail()}")

    def launch(self):
        """Starts it on the port it has, and awaits nothing."""
        settings = [a for k, v in {**self.options, "port": self.port}.items()
                    for a in ("-c", f"{k}={v}")]
        self.state().unlink(missing_ok=True)
        self.spawn([program("postgres"), "-D", str(self.cluster), *settings],
                   **served_by())

    def state(self):
        return self.cluster / "postmaster.pid"

    def ready(self):
        """What it says of itself in its pid file."""
        try:
            lines = self.state().read_text().splitlines()
        except FileNotFoundError:
            return False
        return len(lines) > 7 and lines[0] == str(self.pid) and \
            lines[7].strip() == "ready"

    # ---- faults ------------------------------------------------------------

    def backends(self):
        """Pids of its children, that are there now."""
        text = pathlib.Path(
            f"/proc/{self.pid}/task/{self.pid}/children").read_text()
        return [int(pid) for pid in text.split()]

    def signal(self, sig):
        """To the server and to what it has forked, server first."""
        self.child.send_signal(sig)
        for pid in self.backends():
            try:
                os.kill(pid, sig)
            except ProcessLookupError:
                pass

    def pause(self):
        """It hangs: connections stay, and nobody answers."""
        self.signal(signal.SIGSTOP)

    def resume(self):
        self.signal(signal.SIGCONT)

    def end(self, mode="fast", seconds=30):
        """Ends it; the folder stays for restart()."""
        if self.running():
            self.resume()
        return super().stop(STOPS[mode], seconds)

    def kill(self):
        """As the kernel does it that has no memory left: all of it."""
        backends = self.backends()
        self.signal(signal.SIGKILL)
        self.child.wait()
        self.child = None
        await_("the backends to end",
               lambda: not any(map(is_alive, backends)), 30)

    def restart(self, mode="fast"):
        """On the same port, with the same databases."""
        self.end(mode)
        return self.start()

    def stop(self, mode="immediate"):
        """The end of it and of its folder."""
        try:
            self.end(mode)
        finally:
            shutil.rmtree(self.home, ignore_errors=True)

    # ---- databases ---------------------------------------------------------

    def create(self, name=None, template="template1"):
        """A fresh database; its name."""
        name = name or f"hub_{next(self.databases)}"
        self.sql(f'CREATE DATABASE "{name}" TEMPLATE "{template}"',
                 "postgres")
        return name

    def drop(self, name):
        self.sql(f'DROP DATABASE "{name}" WITH (FORCE)', "postgres")

    def url(self, db="postgres", socket=False):
        """By loopback or by its Unix socket."""
        if socket:
            return f"postgresql://{USER}@/{db}?host={self.home}" \
                f"&port={self.port}"
        return f"postgresql://{USER}@127.0.0.1:{self.port}/{db}"

    def sql(self, text, db="postgres", seconds=60):
        """What psql says: rows as lists of texts; NULL is empty."""
        p = subprocess.run(
            [program("psql"), "-XAtq", "-F", "\t", "-v", "ON_ERROR_STOP=1",
             "-h", str(self.home), "-p", str(self.port), "-U", USER,
             "-d", db], input=text, capture_output=True, text=True,
            timeout=seconds)
        if p.returncode != 0:
            raise SqlError(p.stderr.strip())
        return [line.split("\t") for line in p.stdout.splitlines()]

    def value(self, text, db="postgres"):
        """The one value of a query."""
        return self.sql(text, db)[0][0]

    def deadlocks(self, db=None):
        """As PostgreSQL itself has counted, of one database or of all."""
        where = f" WHERE datname = '{db}'" if db else ""
        return int(self.value(
            "SELECT coalesce(sum(deadlocks), 0) FROM pg_stat_database" +
            where))


def is_alive(pid):
    """Not gone, and no zombie that nobody has reaped yet."""
    try:
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"
