"""What is done to the processes of a cluster, when, and for how long.

The schedule is drawn from a seed before it begins and is the same each time;
what it meets is not. Everything that ends is started again after a while, and
everything that is stopped goes on again.
"""

import collections
import dataclasses
import heapq
import itertools
import os
import pathlib
import random
import signal
import subprocess
import time

import crash
import storm

# How often each is chosen, and for how many seconds it is down or stopped.
FAULTS = {
    ("worker", "kill"): (20, (0, 0)),
    ("worker", "stop"): (8, (0.05, 3)),
    ("billing", "kill"): (10, (0, 0)),
    ("billing", "stop"): (6, (0.1, 4)),
    ("courier", "kill"): (8, (0, 0)),
    ("courier", "stop"): (4, (0.1, 4)),
    ("errand", "kill"): (4, (0, 0)),
    ("admin", "kill"): (1, (0, 0)),
    ("master", "kill"): (5, (0, 1)),
    ("master", "stop"): (2, (0.1, 2)),
    ("agent", "kill"): (8, (0, 0.5)),
    ("agent", "stop"): (4, (0.05, 2)),
    ("postgresql", "immediate"): (3, (0, 4)),
    ("postgresql", "kill"): (2, (0, 4)),
    ("postgresql", "stop"): (3, (0.2, 8)),
    ("redis", "kill"): (4, (0, 2)),
    ("redis", "stop"): (3, (0.1, 4)),
    ("point", "kill"): (25, (0, 0)),
}
POINTS = storm.POINTS + ["courier.committed", "billing.taken",
                         "errand.sending"]


@dataclasses.dataclass
class Fault:
    """hub: its number; n: which of several; after: of a point's passes."""
    at: float
    victim: str
    how: str
    seconds: float
    hub: int
    n: int
    point: str = ""
    done: bool = False      # it met its victim

    @property
    def name(self):
        return f"{self.victim} {self.how}"


def schedule(seed, seconds, gap, hubs, have):
    """Faults, gap seconds apart on average. have: victims there are."""
    rng = random.Random(seed)
    kinds = [k for k in FAULTS if k[0] in have]
    weights = [FAULTS[k][0] for k in kinds]
    faults, at = [], 1.0
    while at < seconds:
        victim, how = rng.choices(kinds, weights)[0]
        least, most = FAULTS[victim, how][1]
        faults.append(Fault(at, victim, how, rng.uniform(least, most),
                            rng.randrange(hubs), rng.randrange(64),
                            rng.choice(POINTS)))
        at += rng.uniform(0.2, 1.8) * gap
    return faults


# ---- finding processes -----------------------------------------------------

def children(pid):
    """Pids and titles of a process's children."""
    found = {}
    try:
        pids = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text()
        for child in map(int, pids.split()):
            found[child] = pathlib.Path(
                f"/proc/{child}/cmdline").read_text().rstrip("\0")
    except (FileNotFoundError, ProcessLookupError):
        pass
    return found


def titled(pid, title):
    return sorted(p for p, t in children(pid).items()
                  if t.startswith(f"hubd: {title}"))


def pids_of(hub, victim):
    """The pids at a hub of worker, billing, admin, courier, errand."""
    if not hub.running():
        return []
    if victim in ("courier", "errand"):
        return [p for b in titled(hub.pid, "billing")
                for p in titled(b, victim)]
    return titled(hub.pid, victim)


def send(pid, sig):
    try:
        os.kill(pid, sig)
    except ProcessLookupError:
        pass


# ---- doing it --------------------------------------------------------------

class Chaos:
    """Runs a schedule against a cluster: hubs, agents, pg, redis."""

    def __init__(self, cluster, faults):
        self.cluster = cluster
        self.faults = faults
        self.count = collections.Counter()      # what met its victim
        self.armed = {}     # fault by the file of its point
        self.later = []     # heap: time, number, what
        self.numbers = itertools.count()
        self.busy = set()   # victims that are down or stopped by us
        self.failures = []

    def after(self, seconds, what, *args):
        heapq.heappush(self.later, (time.monotonic() + seconds,
                                    next(self.numbers), what, args))

    def run(self):
        """The whole schedule, from now."""
        began = time.monotonic()
        for fault in self.faults:
            while (left := began + fault.at - time.monotonic()) > 0:
                self.mend()
                time.sleep(min(left, 0.02))
            if self.do(fault):
                fault.done = True
                self.count[fault.name] += 1

    def do(self, fault):
        """True if there was a victim."""
        if fault.victim == "point":
            return self.arm(fault)
        if fault.victim == "agent":
            agents = self.cluster.agents
            return self.own(agents[fault.n % len(agents)], fault)
        if fault.victim == "master":
            return self.own(self.cluster.hubs[fault.hub], fault)
        if fault.victim in ("postgresql", "redis"):
            return self.server(getattr(self.cluster, fault.victim), fault)
        return self.child(fault)

    def child(self, fault):
        """One that its master or its billing replaces."""
        pids = pids_of(self.cluster.hubs[fault.hub], fault.victim)
        if not pids:
            return False
        pid = pids[fault.n % len(pids)]
        if fault.how == "kill":
            send(pid, signal.SIGKILL)
        else:
            send(pid, signal.SIGSTOP)
            self.after(fault.seconds, send, pid, signal.SIGCONT)
        return True

    def own(self, part, fault):
        """A child of ours: an agent, a master."""
        if not part.running() or part in self.busy:
            return False
        self.busy.add(part)
        if fault.how == "kill":
            part.child.kill()
            part.child.wait()
            self.after(fault.seconds, self.launch, part)
        else:
            send(part.pid, signal.SIGSTOP)
            self.after(fault.seconds, self.go_on, part)
        return True

    def go_on(self, part):
        self.busy.discard(part)
        if part.running():
            send(part.pid, signal.SIGCONT)

    def launch(self, part):
        self.busy.discard(part)
        if not part.running():
            if part in self.cluster.hubs:
                part.launch()
            else:
                part.start()

    def server(self, server, fault):
        if server in self.busy or not server.running():
            return False
        self.busy.add(server)
        if fault.how == "stop":
            server.pause()
            self.after(fault.seconds, self.resume, server)
            return True
        try:
            if fault.how == "kill":
                server.kill()
            else:
                server.end(fault.how)
        except subprocess.TimeoutExpired:
            pass    # the machine is busy: it has been killed
        self.after(fault.seconds, self.begin, server)
        return True

    def resume(self, server):
        self.busy.discard(server)
        server.resume()

    def begin(self, server):
        """Launched until it is there: a start may fail, too."""
        if not server.running():
            server.launch()
        elif server.ready():
            self.busy.discard(server)
            return
        self.after(0.2, self.begin, server)

    def arm(self, fault):
        """A crash point that waits for whoever passes it."""
        hub = self.cluster.hubs[fault.hub]
        path = hub.failpoints / fault.point
        if path in self.armed:
            return False
        crash.arm(self.cluster.sites[fault.hub], fault.point,
                  f"kill\nafter {1 + fault.n % 40}")
        self.armed[path] = fault
        return False    # counted when it is passed

    def mend(self):
        """What is due, and whoever has died of a crash point."""
        while self.later and self.later[0][0] <= time.monotonic():
            _, _, what, args = heapq.heappop(self.later)
            what(*args)
        for path in [p for p in self.armed if not p.exists()]:
            fault = self.armed.pop(path)
            fault.done = True
            self.count[fault.name] += 1
        for part in self.cluster.hubs + self.cluster.agents:
            if not part.running() and part not in self.busy:
                self.launch(part)

    def calm(self):
        """No more faults: all is there again, and goes on."""
        for path in self.armed:
            path.unlink(missing_ok=True)
        while self.later:
            _, _, what, args = heapq.heappop(self.later)
            if what == self.begin:
                time.sleep(0.05)    # it comes back until it is done
            what(*args)
        self.mend()
