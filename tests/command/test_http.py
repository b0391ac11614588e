# SPDX-License-Identifier: Apache-2.0
"""http.send and net.lookup_ip_addr of the command: a server of ours, capabilities, what is kept."""
import http.server
import json
import threading

from run import Command


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    seen = []

    def log_message(self, *args):
        pass

    def answer(self, status, headers, body):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if "Transfer-Encoding" not in headers:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.seen.append((self.command, self.path, dict(self.headers)))
        if self.path == "/away":
            self.answer(302, {"Location": "http://localhost:1/x"}, b"")
        elif self.path == "/here":
            self.answer(307, {"Location": "/json"}, b"")
        elif self.path == "/chunked":
            self.answer(200, {"Transfer-Encoding": "chunked"}, b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
        else:
            self.answer(200, {"Content-Type": "application/json", "Cache-Control": "max-age=60"}, b'{"a": 1}')

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        self.answer(201, {}, body)


class Http(Command):
    def setUp(self):
        super().setUp()
        Handler.seen = []
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.addCleanup(self.server.server_close)
        self.addCleanup(self.server.shutdown)
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def send(self, *words, **request):
        request.setdefault("method", "GET")
        query = f"http.send({json.dumps(request)})"
        return json.loads(self.run_verb("eval", "-f", "raw", *words, query))

    def test_answers_become_values(self):
        got = self.send(url=self.url + "/json")
        self.assertEqual((got["status"], got["status_code"], got["body"]), ("200 OK", 200, {"a": 1}))
        self.assertEqual(got["headers"]["content-type"], ["application/json"])
        self.assertEqual(self.send(url=self.url + "/chunked")["raw_body"], "abcde")
        got = self.send(method="post", url=self.url + "/x", raw_body="text")
        self.assertEqual((got["status_code"], got["raw_body"]), (201, "text"))
        self.assertEqual(self.send(url=self.url + "/here")["status_code"], 307)
        self.assertEqual(self.send(url=self.url + "/here", enable_redirect=True)["body"], {"a": 1})

    def test_errors_are_values_when_asked_for(self):
        got = self.send(url="http://127.0.0.1:1/", raise_error=False)
        self.assertEqual((got["status_code"], got["error"]["code"]), (0, "eval_http_send_network_error"))
        self.assertIn("refused", got["error"]["message"])
        self.run_verb("eval", "--strict-builtin-errors", 'http.send({"method": "GET", "url": "ftp://x/"})', status=2)

    def test_only_hosts_of_the_capabilities(self):
        full = {"builtins": [{"name": "http.send", "decl": {"type": "function", "args": [{"type": "any"}],
                                                            "result": {"type": "any"}}}]}
        for hosts, allowed in (([], False), (["other.example"], False), (["127.0.0.1"], True)):
            full["allow_net"] = hosts
            self.write("caps.json", json.dumps(full))
            got = self.send("--capabilities", "caps.json", url=self.url + "/json", raise_error=False)
            self.assertEqual(got["status_code"], 200 if allowed else 0, hosts)
            if not allowed:
                self.assertIn("unallowed host", got["error"]["message"])
        got = self.send("--capabilities", "caps.json", url=self.url + "/away", raise_error=False, enable_redirect=True)
        self.assertIn("unallowed host", got["error"]["message"])

    def test_asked_once(self):
        request = json.dumps({"method": "GET", "url": self.url + "/json", "cache": True})
        self.write("p.rego", f"package t\n\na := http.send({request}).body\n\nb := http.send({request}).status_code\n")
        self.assertEqual(self.run_json("eval", "-f", "raw", "-d", "p.rego", "[data.t.a, data.t.b]"), [{"a": 1}, 200])
        self.assertEqual(len(Handler.seen), 1)

    def test_names(self):
        got = json.loads(self.run_verb("eval", "-f", "raw", 'net.lookup_ip_addr("localhost")'))
        self.assertIn("127.0.0.1", got)
