# SPDX-License-Identifier: Apache-2.0
"""test_certificates.py: further certificates by the name a client asks for, certificates of clients,
TLS 1.3 alone; as Python's ssl and openssl s_client see it."""
import hashlib
import socket
import ssl
import subprocess

from appliance import Appliance, AppliancePerClass, read_all
from authority import Authority


def fingerprint(pem):
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest()


def shown(a, name=None, version=None):
    """The fingerprint of the certificate a client that asks for `name` is shown."""
    context = ssl._create_unverified_context()
    if version:
        context.minimum_version = context.maximum_version = version
    with socket.create_connection(("127.0.0.1", a.https_port), 30) as s:
        with context.wrap_socket(s, server_hostname=name) as t:
            return hashlib.sha256(t.getpeercert(True)).hexdigest()


class ByName(AppliancePerClass):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.authority = Authority()

    @classmethod
    def tearDownClass(cls):
        cls.authority.close()
        super().tearDownClass()

    def test_the_name_decides(self):
        a, token = self.a, self.a.login()
        default = shown(a)
        shop = self.authority.make("shop", "subjectAltName=DNS:shop.example.org,DNS:www.shop.example.org")
        wild = self.authority.make("wild", "subjectAltName=DNS:*.wild.example.org")
        self.assertEqual(a.put("/api/v1/tls/certificates/shop", shop, token=token).status, 200)
        self.assertEqual(a.put("/api/v1/tls/certificates/wild", wild, token=token).status, 200)
        names = [i["name"] for i in a.get("/api/v1/tls/certificates", token=token).json()["items"]]
        self.assertEqual(names, ["default", "shop", "wild"])
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            for name, want in (("shop.example.org", fingerprint(shop["chain"])),
                               ("SHOP.example.org", fingerprint(shop["chain"])),
                               ("www.shop.example.org", fingerprint(shop["chain"])),
                               ("a.wild.example.org", fingerprint(wild["chain"])),
                               ("a.b.wild.example.org", default), ("wild.example.org", default),
                               ("other.example.org", default), (None, default)):
                self.assertEqual(shown(a, name, version), want, (name, version))
        again = self.authority.make("again", "subjectAltName=DNS:shop.example.org")
        self.assertEqual(a.put("/api/v1/tls/certificates/shop", again, token=token).status, 200)
        self.assertEqual(shown(a, "shop.example.org"), fingerprint(again["chain"]))
        self.assertEqual(a.delete("/api/v1/tls/certificates/shop", token=token).status, 204)
        self.assertEqual(shown(a, "shop.example.org"), default)
        self.problem(a.delete("/api/v1/tls/certificates/shop", token=token), 404)
        a.restart() # what is stored is in use again
        self.assertEqual(shown(a, "x.wild.example.org"), fingerprint(wild["chain"]))
        self.assertEqual(a.delete("/api/v1/tls/certificates/wild", token=a.login()).status, 204)

    def test_the_metric_is_of_the_first_to_end(self):
        a, token = self.a, self.a.login()
        soon = self.authority.make("soon", "subjectAltName=DNS:soon.example.org", days=2)

        def expiry():
            text = a.get("/metrics", token=token).body.decode()
            return float([l for l in text.splitlines()
                          if l.startswith("openpolicy_tls_certificate_expiry_seconds ")][0].split()[1])
        before = expiry()
        self.assertEqual(a.put("/api/v1/tls/certificates/soon", soon, token=token).status, 200)
        self.assertLess(expiry(), before)
        self.assertEqual(a.delete("/api/v1/tls/certificates/soon", token=token).status, 204)
        self.assertEqual(expiry(), before)

    def test_what_is_refused(self):
        a, token = self.a, self.a.login()
        one = self.authority.make("one", "subjectAltName=DNS:one.example.org")
        other = self.authority.make("other", "subjectAltName=DNS:other.example.org")
        self.problem(a.put("/api/v1/tls/certificates/x", {"key": one["key"], "chain": other["chain"]}, token=token), 422)
        self.problem(a.put("/api/v1/tls/certificates/x", {"key": "no", "chain": "no"}, token=token), 422)
        self.problem(a.put("/api/v1/tls/certificates/x", {"key": one["key"]}, token=token), 422)
        for name in ("default", "A", "a%20b", "x" * 64):
            self.problem(a.put(f"/api/v1/tls/certificates/{name}", one, token=token), 422)
        self.problem(a.put("/api/v1/tls/certificates/x", one), 401)
        self.problem(a.get("/api/v1/tls/certificates"), 401)
        self.assertNotIn("PRIVATE KEY", a.get("/api/v1/tls/certificates", token=token).body.decode())


class OfClients(AppliancePerClass):
    @classmethod
    def setUpClass(cls):
        cls.authority, cls.stranger = Authority(), Authority()
        cls.config = {"tls.client_ca": cls.authority.pem}
        super().setUpClass()

    @classmethod
    def tearDownClass(cls):
        cls.authority.close()
        cls.stranger.close()
        super().tearDownClass()

    def ask(self, path, certificate=None, authority=None, version=None, token=None):
        context = ssl._create_unverified_context()
        if version:
            context.minimum_version = context.maximum_version = version
        if certificate:
            context.load_cert_chain(authority.path(f"{certificate}.pem"), authority.path(f"{certificate}.key"))
        with socket.create_connection(("127.0.0.1", self.a.https_port), 30) as s:
            with context.wrap_socket(s) as t:
                bearer = f"Authorization: Bearer {token}\r\n" if token else ""
                t.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\n{bearer}Connection: close\r\n\r\n".encode())
                return read_all(t)[0]

    def test_policies_see_who_it_is(self):
        self.authority.make("robot", "extendedKeyUsage=clientAuth")
        self.stranger.make("robot", "extendedKeyUsage=clientAuth")
        token = self.a.login()
        source = self.a.get("/api/v1/access/policy", token=token).json()["shipped"]
        self.assertIn("package openpolicy.authz", source)
        more = """
allow if {
	input.route == "/api/v1/tls/certificates"
	input.tls.verified
	contains(input.tls.subject, "CN=robot")
}
"""
        put = self.a.request("PUT", "/v1/policies/openpolicy/authz", (source + more).encode(), token=token,
                             headers={"Content-Type": "text/plain"})
        self.assertEqual(put.status, 200, put)
        try:
            for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
                path = "/api/v1/tls/certificates"
                self.assertTrue(self.ask(path, "robot", self.authority, version).startswith(b"HTTP/1.1 200"), version)
                self.assertTrue(self.ask(path, None, None, version).startswith(b"HTTP/1.1 401"))
                self.assertTrue(self.ask(path, "robot", self.stranger, version).startswith(b"HTTP/1.1 401"),
                                "nobody vouches for it")
                self.assertTrue(self.ask("/healthz", None, None, version).startswith(b"HTTP/1.1 200"))
        finally:
            self.assertEqual(self.a.delete("/v1/policies/openpolicy/authz", token=token).status, 200)


class Strict(AppliancePerClass):
    @classmethod
    def setUpClass(cls):
        cls.authority = Authority()
        cls.config = {"tls.client_ca": cls.authority.pem, "tls.client_required": True, "tls.modern": True}
        super().setUpClass()

    @classmethod
    def tearDownClass(cls):
        cls.authority.close()
        super().tearDownClass()

    def s_client(self, *arguments):
        return subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{self.a.https_port}", "-quiet",
                               "-ign_eof", *arguments], capture_output=True, text=True, timeout=60,
                              input="GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")

    def test_only_those_vouched_for_and_only_1_3(self):
        self.authority.make("client", "extendedKeyUsage=clientAuth")
        good = ["-cert", self.authority.path("client.pem"), "-key", self.authority.path("client.key")]
        self.assertIn("200 OK", self.s_client(*good).stdout)
        self.assertNotIn("200 OK", self.s_client().stdout)
        self.assertNotIn("200 OK", self.s_client("-tls1_2", *good).stdout)
