# SPDX-License-Identifier: Apache-2.0
"""test_acme.py: certificates by an authority (RFC 8555), with Debian's pebble as the authority."""
import json
import socket
import ssl
import unittest

from appliance import AppliancePerClass, until
from pebble import Pebble
from server import APPLIANCE_SEES, Server

NAMES = ["one.appliance.test", "two.appliance.test"]
PATIENCE = 90
KEYS = {"customer-1": "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"}


class Acme(AppliancePerClass):
    @classmethod
    def setUpClass(cls):
        # An account is made before the appliance is told of it: pebble first, its ports by name.
        cls.pebble = Pebble(lambda: cls.a.http_port, lambda: cls.a.https_port, lambda *to: cls.a._connect(*to),
                            validity=7200, binding=KEYS)
        cls.pebble.__enter__()
        cls.addClassCleanup(cls.pebble.__exit__)
        cls.windows = Server(tls=True)
        cls.windows.__enter__()
        cls.addClassCleanup(cls.windows.__exit__)
        # It wants to know whose account it is (RFC 8555 7.3.4), and port 80 redirects all but its looks.
        (name, key), = KEYS.items()
        cls.config = {"tls.trust": cls.pebble.trust + cls.windows.ca, "http.plain": False,
                      "acme.binding_id": name, "acme.binding_key": key}
        super().setUpClass()

    def setUp(self):
        self.a.request = lambda *a, **kw: type(self.a).request(self.a, *a, **{"tls": True} | kw)
        self.token = self.a.login()

    def set(self, **values):
        answer = self.a.put("/api/v1/config", {f"acme.{k}": v for k, v in values.items()}, token=self.token)
        self.assertEqual(answer.status, 200, answer)

    def state(self):
        return self.a.get("/api/v1/tls/acme", token=self.token).json()

    def settled(self, got_after=None):
        """Until it has a certificate newer than that, or says why not."""
        def look():
            s = self.state()
            fresh = s["certificate"] and s["renew_at"] and (got_after is None or s["got_at"] != got_after)
            return s if s["state"] == "failed" or (s["state"] == "waiting" and fresh) else None
        try:
            return until(look, PATIENCE, step=0.2, why="acme")
        except TimeoutError as e:
            raise TimeoutError(f"{e}\n{self.state()}\n{self.pebble.log()[-3000:]}") from None

    def shown(self, name):
        """The certificate a browser that believes this authority alone sees."""
        context = ssl.create_default_context(cadata=self.pebble.root())
        with socket.create_connection(("127.0.0.1", self.a.https_port), 30) as s:
            with context.wrap_socket(s, server_hostname=name) as t:
                return t.getpeercert()["serialNumber"]

    def tell_when(self):
        """RFC 9773: pebble has no renewal information, so it is added beside its own directory."""
        directory = self.pebble._get(self.pebble.port, "/dir").replace(b"127.0.0.1", APPLIANCE_SEES.encode())
        directory = json.loads(directory) | {"renewalInfo": self.windows.url("/when")}
        window = {"suggestedWindow": {"start": "2040-01-01T00:00:00Z", "end": "2040-01-02T00:00:00Z"}}
        asked = []

        def answer(seen):
            if seen.path == "/dir":
                return 200, {"Content-Type": "application/json"}, json.dumps(directory).encode()
            asked.append(seen.path)
            return 200, {"Content-Type": "application/json", "Retry-After": "60"}, json.dumps(window).encode()

        self.windows.answer = answer
        return asked

    def test_1_nothing_without_agreement(self):
        self.assertEqual(self.state()["state"], "off")
        self.assertEqual(self.a.post("/api/v1/tls/acme/renew", token=self.token).status, 409)
        self.set(directory=self.pebble.directory, names=",".join(NAMES))
        s = self.settled()
        self.assertEqual(s["state"], "failed", s)
        self.assertIn("acme.agree", s["error"])
        self.assertIsNone(s["certificate"])
        self.assertGreaterEqual(s["failures"], 1)

    def test_2_both_challenges_and_renewal(self):
        asked = self.tell_when()
        self.set(directory=self.windows.url("/dir"), names=NAMES[0], agree=True, contact="ops@example.org")
        s = self.settled()
        self.assertEqual(s["state"], "waiting", s)
        self.assertEqual(s["certificate"]["names"], NAMES[0])
        first = self.shown(NAMES[0])
        with self.assertRaises(ssl.SSLCertVerificationError, msg="it is for one name"):
            self.shown(NAMES[1])
        # Another name, shown in TLS this time.
        self.set(names=",".join(NAMES), challenge="tls-alpn-01")
        s = self.settled(s["got_at"])
        self.assertEqual(s["state"], "waiting", s)
        self.assertEqual(sorted(s["certificate"]["names"].split(",")), NAMES)
        second = self.shown(NAMES[1])
        self.assertEqual(second, self.shown(NAMES[0]), "one certificate for both")
        self.assertRegex(asked[-1], r"^/when/[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$")
        self.assertEqual(s["renew_at"], s["certificate"]["not_after"], "never after its end")
        self.assertNotEqual(first, second)
        # Now, because somebody asks.
        self.assertEqual(self.a.post("/api/v1/tls/acme/renew", token=self.token).status, 202)
        s = self.settled(s["got_at"])
        self.assertEqual(s["state"], "waiting", s)
        third = self.shown(NAMES[0])
        self.assertNotEqual(second, third)
        self.assertIn("POST /order-plz", self.pebble.log())
        # Nobody else gets to see an answer for an authority.
        context = ssl._create_unverified_context()
        context.set_alpn_protocols(["acme-tls/1"])
        with socket.create_connection(("127.0.0.1", self.a.https_port), 30) as c:
            with self.assertRaises(ssl.SSLError):
                context.wrap_socket(c, server_hostname=NAMES[0])
        self.assertEqual(self.a.get("/.well-known/acme-challenge/unknown", tls=False).status, 404)
        # It is among the certificates, cannot be put by hand, and is there after a restart.
        listed = self.a.get("/api/v1/tls/certificates", token=self.token).json()["items"]
        self.assertIn("acme", [c["name"] for c in listed])
        self.assertEqual(self.a.put("/api/v1/tls/certificates/acme", {"key": "k", "chain": "c"},
                                    token=self.token).status, 422)
        figures = self.a.get("/metrics").body.decode()
        self.assertRegex(figures, r"(?m)^openpolicy_acme_certificates_total 3$")
        self.assertRegex(figures, r"(?m)^openpolicy_acme_renewal_seconds [1-9]")
        account = s["account"]
        self.a.restart()
        self.assertEqual(self.shown(NAMES[1]), third)
        self.token = self.a.login()
        s = until(lambda: (lambda s: s if s["renew_at"] else None)(self.state()), PATIENCE, step=0.2, why="a look")
        self.assertEqual((s["account"], s["error"]), (account, None))
        self.assertIsNone(s["got_at"], "nothing was ordered again")

    def test_3_what_fails_is_told(self):
        self.settled()
        serial = self.shown(NAMES[0])
        # An authority nobody vouches for.
        with Server(tls=True) as stranger:
            self.set(directory=stranger.url("/dir"))
            s = until(lambda: (lambda s: s if s["state"] == "failed" else None)(self.state()), PATIENCE, step=0.2,
                      why="a failure")
            self.assertIn("certificate is refused", s["error"])
            self.assertEqual(self.shown(NAMES[0]), serial, "what there was stays")
            self.assertGreater(s["next_attempt_at"], s["error_at"])
        self.set(directory="")
        self.assertEqual(self.state()["state"], "off")
        for key, value in (("directory", "http://ca.example/dir"), ("names", "*.example.org"), ("names", "10.0.0.1"),
                           ("challenge", "dns-01"), ("contact", "nobody")):
            answer = self.a.put("/api/v1/config", {f"acme.{key}": value}, token=self.token)
            self.assertEqual(answer.status, 422, (key, value, answer))

