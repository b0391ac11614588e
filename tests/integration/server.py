# SPDX-License-Identifier: Apache-2.0
"""server.py: a server for what the appliance asks of others. It keeps what came, answers by path,
and speaks TLS with a certificate of an authority made for it.

    with Server() as s:                     http://10.0.2.2:PORT as the appliance sees this machine
        s.url("/x"); s.requests             what came: method, path, headers (lower case), body
    with Server(tls=True) as s: s.ca        PEM of the authority to trust
"""
import gzip
import http.server
import socketserver
import ssl
import threading
import time

from authority import Authority

APPLIANCE_SEES = "10.0.2.2"  # this machine's loopback through the user-mode network


class Seen:
    def __init__(self, handler, body):
        self.method, self.path, self.body = handler.command, handler.path, body
        self.headers = {k.lower(): v for k, v in handler.headers.items()}
        self.connection = handler.client_address[1]
        self.certificate = handler.connection.getpeercert() if hasattr(handler.connection, "getpeercert") else None

    def json(self):
        import json
        text = gzip.decompress(self.body) if self.headers.get("content-encoding") == "gzip" else self.body
        return json.loads(text)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 30

    def log_message(self, *args):
        pass

    def serve(self):
        length = int(self.headers.get("content-length", 0))
        seen = Seen(self, self.rfile.read(length))
        owner = self.server.owner
        with owner.changed:
            owner.requests.append(seen)
            owner.changed.notify_all()
        answer = owner.answer(seen)
        if answer is None:
            self.close_connection = True
            return
        status, headers, body = answer
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if not any(k.lower() in ("content-length", "transfer-encoding") for k in headers):
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = serve


class Threads(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        pass


class Server:
    def __init__(self, tls=False, client_ca=None, answer=None, name="server.test"):
        self.requests, self.changed = [], threading.Condition()
        self.routes = {}
        self.tls, self.client_ca, self.name = tls, client_ca, name
        if answer:
            self.answer = answer
        self.http = Threads(("127.0.0.1", 0), Handler)
        self.http.owner = self
        self.port = self.http.server_address[1]
        if tls:
            self._certify()

    def answer(self, seen):
        route = self.routes.get(seen.path.partition("?")[0], (404, {}, b""))
        return route(seen) if callable(route) else route

    def url(self, path="/", host=APPLIANCE_SEES):
        return f"{'https' if self.tls else 'http'}://{host}:{self.port}{path}"

    def wait(self, count, seconds=20):
        """Until so many requests have come; all of them."""
        deadline = time.monotonic() + seconds
        with self.changed:
            while len(self.requests) < count:
                left = deadline - time.monotonic()
                if left <= 0:
                    raise TimeoutError(f"{len(self.requests)} requests, not {count}, in {seconds} s")
                self.changed.wait(left)
            return list(self.requests)

    def certificate(self, name, extension):
        """A key and a certificate of our authority: two PEM texts."""
        made = self.authority.make(name, extension)
        return [made["chain"], made["key"]]

    def _certify(self):
        self.authority = Authority()
        self.ca = self.authority.pem
        self.certificate(self.name, f"subjectAltName=DNS:{self.name},IP:{APPLIANCE_SEES},IP:127.0.0.1")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.authority.path(f"{self.name}.pem"), self.authority.path(f"{self.name}.key"))
        if self.client_ca:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(self.authority.path("ca.pem"))
        self.http.socket = context.wrap_socket(self.http.socket, server_side=True,
                                               do_handshake_on_connect=False)

    def __enter__(self):
        threading.Thread(target=self.http.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *unused):
        self.http.shutdown()
        self.http.server_close()
        if self.tls:
            self.authority.close()
