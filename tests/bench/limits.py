"""What the scripts of limits take of a Redis: by its own CPU, for it shares
a core with whoever asks it."""

import hashlib
import pathlib
import subprocess

FOLDER = pathlib.Path(__file__).resolve().parents[2] / "hubd" / "limit"
EPOCH = "1"
DEEP = 64


def script(name):
    return ((FOLDER / "redis_common.lua").read_text() +
            (FOLDER / f"redis_{name}.lua").read_text())


def cli(port, *words, text=None):
    return subprocess.run(["redis-cli", "-p", str(port), *words], input=text,
                          capture_output=True, text=True,
                          check=True).stdout.strip()


def load(port, name):
    sha = cli(port, "-x", "SCRIPT", "LOAD", text=script(name))
    assert sha == hashlib.sha1(script(name).encode()).hexdigest()
    return sha


def cpu_s(port):
    lines = cli(port, "INFO", "cpu").split()
    return sum(float(line.split(":")[1]) for line in lines
               if line.startswith(("used_cpu_sys:", "used_cpu_user:")))


def run(port, n, sha, args):
    """Calls a second of its CPU; __rand_int__ is another number in each."""
    keys = ["b:epoch", "b:owing"] + [f"b:{what}:1" for what in (
        "account", "until", "held", "calls", "rates")]
    before = cpu_s(port)
    subprocess.run(
        ["redis-benchmark", "-p", str(port), "-q", "-c", "1", "-P",
         str(DEEP), "-r", "1000000000", "-n", str(n), "EVALSHA", sha,
         str(len(keys)), *keys, EPOCH, "30000000", "hub", *map(str, args)],
        capture_output=True, check=True)
    return n / (cpu_s(port) - before)


def per_second(port, n):
    """(admissions, ends) a second, of one account and one key."""
    known = [1, 0, 1, 10**15, 0, 1]
    cli(port, "SET", "b:epoch", EPOCH)
    admits = run(port, n, load(port, "admit"),
                 ["__rand_int__", *known, 1000, "strict", 10**6, 1, 1])
    ends = run(port, n, load(port, "keep"),
               ["__rand_int__", *known, "c", 500, 0, 0, 0])
    return admits, ends
