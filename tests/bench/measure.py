"""CPU and memory of processes, and where processes are pinned.

What is measured runs on one core, the load generator and the simulator on
the other.
"""

import glob
import os
import statistics
import subprocess

CORES = sorted(os.sched_getaffinity(0))
THERE, HERE = CORES[0], CORES[-1]  # the measured; generator and simulator


def spawn(core, *argv, **kw):
    return subprocess.Popen(["taskset", "-c", str(core), *argv], **kw)


def family(pid):
    """The process and its descendants."""
    pids, queue = [], [pid]
    while queue:
        p = queue.pop()
        pids.append(p)
        for path in glob.glob(f"/proc/{p}/task/*/children"):
            try:
                with open(path) as f:
                    queue += [int(x) for x in f.read().split()]
            except OSError:
                pass
    return pids


def cpu_ns(pids):
    total = 0
    for pid in pids:
        for path in glob.glob(f"/proc/{pid}/task/*/schedstat"):
            try:
                with open(path) as f:
                    total += int(f.read().split()[0])
            except OSError:
                pass
    return total


def rss_kib(pids):
    """Memory of its own: shared mappings are not counted per process."""
    total = 0
    for pid in pids:
        try:
            with open(f"/proc/{pid}/smaps_rollup") as f:
                for line in f:
                    if line.startswith(("Private_Clean:", "Private_Dirty:")):
                        total += int(line.split()[1])
        except OSError:
            pass
    return total


def median(values):
    return statistics.median(values) if values else None
