"""nginx and HAProxy in front of the hub: nobody sees other requests.

A table of odd requests goes, raw, straight to the hub, through nginx and
through HAProxy. What a front forwarded is in its log; what the hub took, in its
counters; what bodies it took, at the provider. A front that says one request
and a hub that says two is how requests are smuggled.
"""

import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import types

import pytest

import crash
import priced
import procs
from procs import await_, fetch, free_port
from test_http import Wire

sys.path.insert(0, str(procs.ROOT / "tests" / "docs"))
import manual  # noqa: E402

CHAT = json.dumps({"model": "sim-chat", "messages": [
    {"role": "user", "content": "hello"}]}).encode()
HIDDEN = b"GET /hidden HTTP/1.1\r\nHost: hub\r\n\r\n"


def chunked(*pieces, last=b"0\r\n\r\n"):
    return b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in pieces) + last


def post(fields, body, path=b"/v1/chat/completions", line=b"POST %s HTTP/1.1"):
    return (line % path + b"\r\nHost: hub\r\nAuthorization: Bearer KEY\r\n" +
            fields + b"\r\n" + body)


LEN = b"Content-Length: %d\r\n" % len(CHAT)
TE = b"Transfer-Encoding: chunked\r\n"

# What is sent on one connection. Behind a body that ends early for one
# reader stands HIDDEN: whoever answers it was smuggled to.
ODD = {
    "plain": post(LEN, CHAT),
    "chunked": post(TE, chunked(CHAT)),
    "chunks of one": post(TE, chunked(*(bytes([b]) for b in CHAT))),
    "chunk extension": post(TE, b"%x;a=\"b;c\"\r\n%s\r\n0\r\n\r\n" % (
        len(CHAT), CHAT)),
    "trailer": post(TE, chunked(CHAT, last=b"0\r\nX-T: v\r\n\r\n")),
    "length and chunked": post(LEN + TE, chunked(CHAT) + HIDDEN),
    "chunked and length 0": post(b"Content-Length: 0\r\n" + TE,
                                 chunked(CHAT) + HIDDEN),
    "two lengths": post(LEN + b"Content-Length: 0\r\n", CHAT + HIDDEN),
    "the same length twice": post(LEN + LEN, CHAT + HIDDEN),
    "list of lengths": post(b"Content-Length: 0, 0\r\n", HIDDEN),
    "signed length": post(b"Content-Length: +0\r\n", HIDDEN),
    "hex length": post(b"Content-Length: 0x0\r\n", HIDDEN),
    "huge length": post(b"Content-Length: 18446744073709551616\r\n", HIDDEN),
    "blank before colon": post(b"Content-Length : 0\r\n" + LEN,
                               CHAT + HIDDEN),
    "TE with a tab": post(b"Transfer-Encoding:\tchunked\r\n",
                          chunked(CHAT) + HIDDEN),
    "TE with a blank behind": post(b"Transfer-Encoding: chunked \r\n",
                                   chunked(CHAT) + HIDDEN),
    "TE in capitals": post(b"TRANSFER-ENCODING: CHUNKED\r\n",
                           chunked(CHAT) + HIDDEN),
    "TE twice": post(TE + TE, chunked(CHAT) + HIDDEN),
    "TE and identity": post(TE + b"Transfer-Encoding: identity\r\n",
                            chunked(CHAT) + HIDDEN),
    "TE xchunked": post(b"Transfer-Encoding: xchunked\r\n" + LEN,
                        CHAT + HIDDEN),
    "TE vertical tab": post(b"Transfer-Encoding:\x0bchunked\r\n" + LEN,
                            CHAT + HIDDEN),
    "TE folded": post(b"Transfer-Encoding:\r\n chunked\r\n" + LEN,
                      CHAT + HIDDEN),
    "TE in 1.0": post(TE, chunked(CHAT) + HIDDEN,
                      line=b"POST %s HTTP/1.0"),
    "TE hidden by a bare CR": post(b"X: y\rTransfer-Encoding: chunked\r\n" +
                                   LEN, CHAT + HIDDEN),
    "TE behind a bare LF": post(b"X: y\nTransfer-Encoding: chunked\r\n" +
                                LEN, chunked(CHAT) + HIDDEN),
    "bare LF lines": post(LEN, CHAT).replace(b"\r\n", b"\n") + HIDDEN,
    "bare LF chunks": post(TE, chunked(CHAT).replace(b"\r\n", b"\n") +
                           HIDDEN),
    "chunk size with blanks": post(TE, b"%x  \r\n%s\r\n0\r\n\r\n" % (
        len(CHAT), CHAT) + HIDDEN),
    "chunk size 0x": post(TE, b"0x0\r\n\r\n" + HIDDEN),
    "chunk size beyond 64 bits": post(TE, b"1" + b"0" * 16 + b"\r\n" +
                                      HIDDEN),
    "chunk without its end": post(TE, b"2\r\n{}XX0\r\n\r\n" + HIDDEN),
    "GET with a body": b"GET /v1/models HTTP/1.1\r\nHost: hub\r\n"
                       b"Content-Length: %d\r\n\r\n" % len(HIDDEN) + HIDDEN,
    "two hosts": post(LEN + b"Host: other\r\n", CHAT),
    "NUL in a field": post(LEN + b"X: a\0b\r\n", CHAT + HIDDEN),
    "folded field": post(LEN + b"X: a\r\n b\r\n", CHAT),
    "absolute form": post(LEN, CHAT, b"http://hub/v1/chat/completions"),
    "fragment": post(LEN, CHAT, b"/v1/chat/completions#x"),
    "dots": post(LEN, CHAT, b"/v1/x/../chat/completions"),
    "escaped slash": post(LEN, CHAT, b"/v1%2fchat/completions"),
    "two slashes": post(LEN, CHAT, b"//v1/chat/completions"),
    "empty lines in front": b"\r\n\r\n" + post(LEN, CHAT),
    "upgrade": post(LEN + b"Connection: upgrade\r\nUpgrade: h2c\r\n", CHAT),
    "connection names a field": post(
        LEN + b"Connection: content-length, keep-alive\r\n", CHAT),
    "expect": post(LEN + b"Expect: 100-continue\r\n", CHAT),
    "pipelined": post(LEN, CHAT) + post(TE, chunked(CHAT)) + post(LEN, CHAT),
}


NGINX = """
daemon off; worker_processes 1; pid {home}/pid;
error_log {home}/error.log;
events {{ worker_connections 500; }}
http {{
  log_format requests escape=json
      '{{"status":"$status","method":"$request_method",'
      '"to":"$upstream_addr"}}';
  access_log {home}/requests.log requests;
  client_body_temp_path {home}/b; proxy_temp_path {home}/p;
  fastcgi_temp_path {home}/f; uwsgi_temp_path {home}/u;
  scgi_temp_path {home}/s;
  upstream up {{ server 127.0.0.1:{hub}; keepalive 8; }}
  server {{ listen 127.0.0.1:{port};
    location / {{ proxy_pass http://up; proxy_http_version 1.1;
      proxy_set_header Connection ""; proxy_set_header Host $host;
      proxy_buffering off; proxy_request_buffering off; }} }}
}}
"""

HAPROXY = """
global
    log {home}/log.sock len 4096 local0 info
defaults
    mode http
    timeout connect 5s
    timeout client 20s
    timeout server 20s
    log global
    log-format '{{"status":"%ST","method":"%HM","to":"%s"}}'
    http-reuse always
frontend in
    bind 127.0.0.1:{port}
    default_backend hub
backend hub
    server hub 127.0.0.1:{hub}
"""


NGINX_OF_THE_MANUAL = """
daemon off; worker_processes 1; pid {home}/pid;
error_log {home}/error.log;
events {{ worker_connections 500; }}
http {{
  access_log off;
  client_body_temp_path {home}/b; proxy_temp_path {home}/p;
  fastcgi_temp_path {home}/f; uwsgi_temp_path {home}/u;
  scgi_temp_path {home}/s;
  server {{ listen 127.0.0.1:{port};
%s
  }}
}}
"""

HAPROXY_OF_THE_MANUAL = """
defaults
    mode http
    timeout connect 5s
    timeout client 1h
    timeout server 1h
    timeout tunnel 1h
    option httpchk GET /readyz
    http-check send ver HTTP/1.1 hdr Host hub
frontend in
    bind 127.0.0.1:{port}
    default_backend hub
backend hub
    server hub 127.0.0.1:{hub} check inter 100
"""


class Front(procs.Process):
    """A front of the hub, and the requests that it forwarded. text: its
    configuration, in place of the usual one."""

    def __init__(self, name, hub_port, text=None):
        # nginx's workers run as another user, and write there
        home = pathlib.Path(tempfile.mkdtemp(prefix=f"{name}."))
        home.chmod(0o777)
        super().__init__(home, name)
        self.port = free_port()
        values = dict(home=home, hub=hub_port, port=self.port)
        conf = home / "conf"
        if name == "nginx":
            conf.write_text((text or NGINX).format(**values))
            argv = ["nginx", "-c", str(conf), "-e", f"{home}/error.log"]
        else:
            conf.write_text((text or HAPROXY).format(**values))
            self.listen(home)
            argv = ["haproxy", "-db", "-f", str(conf)]
        path = os.environ["PATH"] + ":/usr/sbin:/sbin"
        self.spawn([shutil.which(argv[0], path=path), *argv[1:]])

        def listens():
            assert self.running(), self.tail()
            with socket.socket() as s:
                return s.connect_ex(("127.0.0.1", self.port)) == 0
        await_(name, listens)

    def listen(self, home):
        """Takes the log of HAProxy, which writes no file, into one."""
        s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        s.bind(f"{home}/log.sock")

        def take():
            while True:
                line = s.recv(65536)
                if b"{" in line:
                    with open(home / "requests.log", "ab") as f:
                        f.write(line[line.index(b"{"):].rstrip() + b"\n")
        threading.Thread(target=take, daemon=True).start()

    def requests(self):
        """What it logged: one dict a request, forwarded or not."""
        try:
            text = (self.folder / "requests.log").read_text()
        except FileNotFoundError:
            return []
        return [json.loads(line) for line in text.splitlines()]

    def close(self):
        self.stop(15)
        shutil.rmtree(self.folder, ignore_errors=True)


def forwarded(line):
    return line["to"] not in ("", "-") and "NOSRV" not in line["to"]


@pytest.fixture(scope="module")
def hub_site():
    s = procs.Site(priced.PRICES, workers=1, links=1,
                   options={"timeout": {"header": "2s", "body": "2s"}})
    s.user = s.key().encode()
    yield s
    s.close()


@pytest.fixture(scope="module")
def fronts(hub_site):
    made = {name: Front(name, hub_site.hub.port)
            for name in ("nginx", "haproxy")}
    yield made
    for f in made.values():
        f.close()


@pytest.fixture(scope="module")
def table():
    """Lines of what was answered, for the last test to show."""
    return []


FINAL = (b"GET /final HTTP/1.1\r\nHost: hub\r\nConnection: close\r\n\r\n")


def talk(port, data):
    """The statuses of all answers, until the other side closes or, waiting
    for more of a request, is silent."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as s:
        s.sendall(data + FINAL)
        s.settimeout(1)
        got = b""
        try:
            while more := s.recv(65536):
                got += more
        except (TimeoutError, ConnectionResetError):
            pass
    found = [int(m) for m in re.findall(rb"HTTP/1\.[01] (\d\d\d) ", got)]
    return [code for code in found if code != 100]


def answers(site):
    """How many requests the hub has answered, refusals included."""
    text = fetch(site.hub.admin_port, "GET", "/metrics")[2].decode()
    return sum(int(float(n)) for n in re.findall(
        r"^hubd_responses_total\{.*\} (\S+)$", text, re.M))


def bodies(site):
    """The bodies that reached the provider, and their number."""
    return [r["body"] for r in site.sim.requests("sim-chat")]


class Seen:
    """What one case caused at the hub and at the provider."""

    def __init__(self, site, port, data, front=None):
        site.sim.reset()
        before = answers(site)
        lines = len(front.requests()) if front else 0
        self.codes = talk(port, data.replace(b"KEY", site.user))
        if front:
            await_("the front's log", lambda: len(front.requests()) >=
                   lines + len(self.codes))
        site.hub.quiet()
        self.answers = answers(site) - before
        self.bodies = bodies(site)
        self.forwarded = [r for r in front.requests()[lines:]
                          if forwarded(r)] if front else []


def good(codes):
    return sum(code < 300 for code in codes)


@pytest.mark.parametrize("name", ODD)
def test_no_request_is_seen_differently(hub_site, fronts, table, name):
    data = ODD[name]
    direct = Seen(hub_site, hub_site.hub.port, data)
    assert len(direct.codes) == direct.answers
    said = {"direct": direct.codes}
    for which, front in fronts.items():
        seen = Seen(hub_site, front.port, data, front)
        said[which] = seen.codes
        # not one more than the front knows of, and no other good one
        assert seen.answers <= len(seen.forwarded), (which, seen.__dict__)
        assert good(seen.codes) == good(
            int(r["status"]) for r in seen.forwarded), (which, seen.__dict__)
        # what the provider was asked is what a strict reader finds
        expected = data.count(CHAT) or 1
        assert len(seen.bodies) <= expected, (which, seen.bodies)
        assert all(b == plain_at_provider(hub_site) for b in seen.bodies)
    table.append(f"{name:26s} " + "  ".join(
        f"{' '.join(map(str, v)):17s}" for v in said.values()))


def plain_at_provider(site, kept=[]):
    """The body that the provider sees of CHAT."""
    if not kept:
        kept.append(Seen(site, site.hub.port, ODD["plain"]).bodies[0])
    return kept[0]


@pytest.mark.parametrize("name", ["plain", "chunked", "chunks of one",
                                  "trailer", "expect", "pipelined"])
def test_what_is_right_passes_every_front(hub_site, fronts, name):
    n = 3 if name == "pipelined" else 1
    for port in (hub_site.hub.port, *(f.port for f in fronts.values())):
        assert talk(port, ODD[name].replace(b"KEY", hub_site.user))[:n] == \
            [200] * n


def test_connections_are_kept_and_pipelined(hub_site, fronts):
    """Many requests over one connection to a front, in order."""
    for which, front in fronts.items():
        w = Wire(front.port)
        lines = len(front.requests())
        before = answers(hub_site)
        models = ["sim-chat", priced.SHORT, "sim-tiny-i1-o1"] * 4
        sent = [post(b"Content-Length: %d\r\n" % len(body), body)
                for m in models
                for body in [CHAT.replace(b"sim-chat", m.encode())]]
        for text in sent[:6]:  # one after the other
            w.send(text.replace(b"KEY", hub_site.user))
            assert w.reply()[0] == 200
        w.send(b"".join(sent[6:]).replace(b"KEY", hub_site.user))
        replies = [w.reply() for _ in sent[6:]]
        assert [json.loads(r[2])["model"] for r in replies] == models[6:]
        w.s.close()
        await_(f"the log of {which}", lambda: len(
            front.requests()) >= lines + len(models))
        assert answers(hub_site) - before == len(models)


def test_every_odd_request_was_tried(table, show):
    show(f"{'answers':26s} {'directly':17s}  {'by nginx':17s}  by HAProxy\n" +
         "\n".join(table))
    assert len(table) == len(ODD)


# ---- as the manual has it --------------------------------------------------

def nginx_of_the_manual():
    block, = [b for b in manual.examples("hubd.8") if "location" in b]
    block = block.replace("{", "{{").replace("}", "}}")
    return NGINX_OF_THE_MANUAL % block.replace("127.0.0.1:8080",
                                               "127.0.0.1:{hub}")


@pytest.mark.parametrize("name", ["nginx", "haproxy"])
def test_a_front_as_the_manual_has_it(hub_site, name):
    """Users, streams and agents get through, and health is seen."""
    text = nginx_of_the_manual() if name == "nginx" else HAPROXY_OF_THE_MANUAL
    front = Front(name, hub_site.hub.port, text)
    behind = types.SimpleNamespace(port=front.port)
    agent = None
    try:
        status, fields, _ = hub_site.chat(hub_site.user.decode(), hub=behind)
        assert status == 200 and fields["x-hub-cost"]
        # the first event comes long before the last
        began = time.monotonic()
        stream = crash.open_stream(hub_site, hub_site.user.decode(),
                                   port=front.port)
        assert time.monotonic() - began < 2
        stream.close()
        agent = procs.Agent(hub_site.folder / name, hub_site.hub,
                            {"openai": hub_site.sim}, name=name, links=2)
        agent.conf.write_text(agent.conf.read_text().replace(
            str(hub_site.hub.port), str(front.port)))
        agent.start().await_up(2)
    finally:
        if agent:
            agent.stop()
        front.close()
