"""Proxies and a provider for agents, on loopback, each a few threads."""

import base64
import http.client
import http.server
import json
import socket
import socketserver
import ssl
import threading

ANSWER = json.dumps({"choices": [], "usage": {
    "prompt_tokens": 3, "completion_tokens": 4}}).encode()
LOGIN = "us%40er:pass"  # as in a URL
BASIC = "Basic " + base64.b64encode(b"us@er:pass").decode()


class Server:
    """Runs a socketserver in threads until close()."""

    def __init__(self, handler, context=None):
        class Threaded(socketserver.ThreadingTCPServer):
            allow_reuse_address = daemon_threads = True
            request_queue_size = 64
            owner = self

            def get_request(self):
                sock, peer = super().get_request()
                self.owner.connections += 1
                if context:
                    sock = context.wrap_socket(
                        sock, server_side=True,
                        do_handshake_on_connect=False)
                return sock, peer

            def handle_error(self, request, client_address):
                pass  # who is not trusted hangs up

        self.connections = 0
        self.seen = []  # request lines, or what else was asked for
        self.server = Threaded(("127.0.0.1", 0), handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever,
                         daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Provider(http.server.BaseHTTPRequestHandler):
    """Answers everything with the same usage and keeps the connection."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.owner.seen.append(self.requestline)
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(ANSWER)))
        self.end_headers()
        self.wfile.write(ANSWER)

    def log_message(self, *args):
        pass


def provider(pair=None):
    context = None
    if pair:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pair["certificate"], pair["key"])
    return Server(Provider, context)


def relay(a, b):
    """Bytes both ways until both sides have ended."""
    def one_way(source, sink):
        try:
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass
    other = threading.Thread(target=one_way, args=(a, b), daemon=True)
    other.start()
    one_way(b, a)
    other.join()


class HttpProxy(http.server.BaseHTTPRequestHandler):
    """CONNECT, and requests in absolute form; with a login."""

    protocol_version = "HTTP/1.1"

    def admitted(self):
        self.server.owner.seen.append(self.requestline)
        if self.headers.get("Proxy-Authorization") == BASIC:
            return True
        self.send_response(407)
        self.send_header("Proxy-Authenticate", 'Basic realm="x"')
        self.send_header("Content-Length", "0")
        self.end_headers()
        return False

    def do_CONNECT(self):
        if not self.admitted():
            return
        host, port = self.path.rsplit(":", 1)
        with socket.create_connection((host, int(port))) as s:
            self.send_response(200)
            self.end_headers()
            relay(self.connection, s)
        self.close_connection = True

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if not self.admitted():
            return
        assert self.path.startswith("http://")
        host, path = self.path[7:].split("/", 1)
        c = http.client.HTTPConnection(host, timeout=20)
        c.request("POST", "/" + path, body)
        r = c.getresponse()
        data = r.read()
        c.close()
        self.send_response(r.status)
        self.send_header("Content-Type", r.getheader("Content-Type"))
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args):
        pass


class Socks(socketserver.BaseRequestHandler):
    """SOCKS 5 without a login (RFC 1928), addresses of IPv4."""

    def take(self, n):
        data = b""
        while len(data) < n:
            more = self.request.recv(n - len(data))
            assert more
            data += more
        return data

    def handle(self):
        _, methods = self.take(2)
        self.take(methods)
        self.request.sendall(b"\5\0")
        head = self.take(4)
        assert head == b"\5\1\0\1"
        host = socket.inet_ntoa(self.take(4))
        port = int.from_bytes(self.take(2), "big")
        self.server.owner.seen.append(f"{host}:{port}")
        with socket.create_connection((host, port)) as s:
            self.request.sendall(b"\5\0\0\1" + bytes(6))
            relay(self.request, s)
