# SPDX-License-Identifier: Apache-2.0
"""test_sso.py: people sign in with another provider: the whole way, whose account it becomes, and what a
hostile provider, browser or network tries."""
import json
import ssl
import time
import urllib.parse

from appliance import ADMIN_EMAIL, Answer, Appliance
from provider import CLIENT, Key, Provider, b64
from server import APPLIANCE_SEES
from test_auth import GOOD, AuthCase

HOST = "appliance.test"


class Browser:
    """Cookies and the ways of a browser, of one person."""

    def __init__(self, case):
        self.case, self.cookies = case, {}

    def ask(self, method, path, body=None, **headers):
        headers = dict({"Host": HOST, "Origin": "https://" + HOST}, **headers)
        if self.cookies:
            headers["Cookie"] = "; ".join(f"{k}={v}" for k, v in self.cookies.items())
        if body is not None:
            headers["Content-Type"] = "application/json"
        c = self.case.a.connection(timeout=60)
        try:
            c.request(method, path, None if body is None else json.dumps(body), headers)
            r = c.getresponse()
            for line in r.headers.get_all("set-cookie", ()):
                self.keep(line)
            return Answer(r.status, {k.lower(): v for k, v in r.getheaders()}, r.read())
        finally:
            c.close()

    def keep(self, line):
        pair, _, rest = line.partition(";")
        name, _, value = pair.partition("=")
        for word in ("Path=/", "Secure", "HttpOnly", "SameSite=Lax"):
            self.case.assertIn(word, rest)
        if "Max-Age=0" in rest:
            self.cookies.pop(name, None)
        else:
            self.cookies[name] = value

    def begin(self, name, back="/"):
        r = self.ask("GET", f"/api/v1/auth/sso/{name}/login?" + urllib.parse.urlencode({"return": back}))
        self.case.assertEqual(r.status, 303, r)
        return r.headers["location"]

    def come_back(self, name, query):
        return self.ask("GET", f"/api/v1/auth/sso/{name}/callback?" + urllib.parse.urlencode(query))

    def sign_in(self, name, provider, back="/", **change):
        return self.come_back(name, provider.visit(self.begin(name, back), **change))

    def me(self):
        return self.ask("GET", "/api/v1/auth/me")


class Sso(AuthCase):
    config = {"auth.issuer": "https://" + HOST}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.p, cls.q = Provider().__enter__(), Provider("/other").__enter__()
        cls.addClassCleanup(cls.p.__exit__)
        cls.addClassCleanup(cls.q.__exit__)
        cls.put_both()

    @classmethod
    def put_both(cls, **more):
        cls.put(dict({"acme": cls.p.settings(title="Acme", create=True, link="email"),
                      "other": cls.q.settings(preset="keycloak", domains=["other.example"], create=True,
                                              client_auth="client_secret_post")}, **more))

    @classmethod
    def put(cls, providers):
        if not getattr(cls, "_admin", None):
            cls._admin = cls.a.login()
        r = cls.a.put("/api/v1/config/auth.providers", {"value": providers}, token=cls._admin)
        assert r.status == 200, r

    def setUp(self):
        AuthCase.counter += 1
        for p in (self.p, self.q):
            p.claims, p.header, p.secret, p.signer = {}, {}, None, None
        self.email = f"grace{AuthCase.counter}-{time.monotonic_ns()}@example.org"
        self.p.person = {"sub": "sub|" + self.email, "email": self.email, "email_verified": True, "name": "Grace"}

    def test_the_whole_way(self):
        listed = self.a.get("/api/v1/auth/sso").json()["items"]
        self.assertEqual([(p["name"], p["title"]) for p in listed], [("acme", "Acme"), ("other", "Keycloak")])
        self.assertNotIn("secret", str(listed))
        b = Browser(self)
        r = b.sign_in("acme", self.p, "/x?a=1&b=2")
        self.assertEqual((r.status, r.headers["location"]), (303, "/x?a=1&b=2"), r)
        self.assertEqual(set(b.cookies), {"__Host-openpolicy"})
        me = b.me().json()
        self.assertEqual((me["email"], me["name"], me["role"]), (self.email, "Grace", "user"))
        self.assertIsNotNone(me["email_verified_at"])
        # The same person again, under another address: the same account.
        self.p.person["email"] = "moved-" + self.email
        again = Browser(self)
        self.assertEqual(again.sign_in("acme", self.p).status, 303)
        self.assertEqual(again.me().json()["id"], me["id"])
        linked = b.ask("GET", "/api/v1/auth/identities").json()["items"]
        self.assertEqual([(i["provider"], i["issuer"], i["email"]) for i in linked],
                         [("acme", self.p.issuer, self.email)])
        # It has no password, and none works.
        r = self.a.post("/api/v1/auth/login", {"email": self.email, "password": "!"}, timeout=60)
        self.assertProblem(r, 401, "login_failed")
        actions = [i["action"] for i in self.a.get("/api/v1/auth/audit-logs?limit=20", token=self.admin()).json()["items"]]
        for action in ("identity.link", "user.create", "user.login"):
            self.assertIn(action, actions)

    def test_a_link_by_address_wants_both_sides_proven(self):
        user = self.new_user()
        self.p.person.update(email=user["email"])
        r = Browser(self).sign_in("acme", self.p)  # nobody has confirmed it here
        self.assertProblem(r, 403, "account_refused")
        token = self.tokens(user["email"])["access_token"]
        b = Browser(self)  # their own wish
        r = self.a.post("/api/v1/auth/sso/acme/link", token=token, headers={"Host": HOST})
        self.assertEqual(r.status, 200, r)
        b.keep(r.headers["set-cookie"])
        self.assertEqual(b.come_back("acme", self.p.visit(r.json()["location"])).status, 303)
        self.assertEqual(b.me().json()["id"], user["id"])
        identity = b.ask("GET", "/api/v1/auth/identities").json()["items"][0]["id"]
        self.assertEqual(self.status("DELETE", "/api/v1/auth/identities/" + identity, token=self.admin()), 404)
        self.assertEqual(self.status("DELETE", "/api/v1/auth/identities/" + identity, token=token), 204)
        self.p.person.update(sub="wants-to-be-admin", email=ADMIN_EMAIL)
        self.assertProblem(Browser(self).sign_in("acme", self.p), 403, "account_refused")
        self.p.person.update(sub="not-proven", email="new-" + self.email, email_verified=False)
        self.assertProblem(Browser(self).sign_in("acme", self.p), 403, "account_refused")
        self.q.person = dict(self.p.person, email="grace@example.org", email_verified=True)
        self.assertProblem(Browser(self).sign_in("other", self.q), 403, "account_refused")  # not its domain
        self.q.person["email"] = f"a{time.monotonic_ns()}@other.example"
        self.assertEqual(Browser(self).sign_in("other", self.q).status, 303)

    def test_the_address_may_come_from_userinfo(self):
        self.p.in_userinfo = True
        b = Browser(self)
        try:
            self.assertEqual(b.sign_in("acme", self.p).status, 303)
        finally:
            self.p.in_userinfo = False
        self.assertEqual(b.me().json()["email"], self.email)

    def test_a_second_factor_is_asked_for_here(self):
        from test_identity import totp
        b = Browser(self)
        self.assertEqual(b.sign_in("acme", self.p).status, 303)
        secret = b.ask("POST", "/api/v1/auth/mfa/totp").json()["secret"]
        r = b.ask("POST", "/api/v1/auth/mfa/totp/confirm", {"code": totp(secret, int(time.time()) // 30)})
        self.assertEqual(r.status, 200, r)
        recovery = r.json()["recovery_codes"][0]
        again = Browser(self)
        r = again.sign_in("acme", self.p, "/next?a=1&b=2")
        self.assertEqual(r.status, 200, r)
        page = r.body.decode()
        self.assertIn('data-to="/next?a=1&amp;b=2"', page)
        self.assertNotIn("__Host-openpolicy", again.cookies)
        ticket = page.partition('data-ticket="')[2].partition('"')[0]
        r = again.ask("POST", "/api/v1/auth/login/second-factor", {"mfa_token": ticket, "code": recovery})
        self.assertEqual(r.status, 200, r)
        self.assertEqual(again.me().json()["email"], self.email)

    # ---- What is tried ---------------------------------------------------------------------------

    def refused(self, browser, r):
        self.assertProblem(r, 401, "provider_refused")
        self.assertNotIn("__Host-openpolicy", browser.cookies)
        self.assertEqual(browser.me().status, 401)

    def test_tokens_that_do_not_hold(self):
        now, foreign, rsa = int(time.time()), Key(), Key("RS256")
        self.p.keys.append(rsa)
        public = self.p.keys[0].public()
        kid = self.p.keys[0].kid
        cases = [({"iss": self.q.issuer}, {}), ({"iss": None}, {}), ({"aud": "another"}, {}), ({"aud": []}, {}),
                 ({"aud": [CLIENT, "another"]}, {}), ({"aud": [CLIENT, "another"], "azp": "another"}, {}),
                 ({"azp": "another"}, {}), ({"exp": now - 3600, "iat": now - 3700}, {}), ({"exp": None}, {}),
                 ({"exp": "soon"}, {}), ({"iat": now + 3600, "exp": now + 7200}, {}), ({"iat": None}, {}),
                 ({"iat": now - 7300}, {}), ({"nbf": now + 3600}, {}), ({"nonce": "another"}, {}),
                 ({"nonce": None}, {}), ({"sub": None}, {}), ({"sub": ""}, {}), ({"sub": 7}, {}),
                 ({"sub": "x" * 256}, {}), ({"at_hash": b64(bytes(16))}, {}),
                 ({}, {"alg": "none"}), ({}, {"alg": "RS256"}), ({}, {"alg": "ES384"}), ({}, {"alg": None}),
                 ({}, {"kid": "../../dev/null"}), ({}, {"kid": "' OR 1=1 --"}), ({}, {"kid": 7}), ({}, {"kid": ""}),
                 ({}, {"kid": "o", "alg": "HS256"}), ({}, {"kid": rsa.kid}), ({}, {"crit": ["exp"]}),
                 ({}, {"jwk": foreign.jwk()}), ({}, {"jku": self.q.issuer + "/jwks"}), ({}, {"x5u": "https://x"}),
                 ({}, {"typ": "at+jwt"}), ({}, {"b64": False})]
        b = Browser(self)
        for claims, header in cases:
            with self.subTest(claims=claims, header=header):
                self.p.claims, self.p.header = claims, header
                self.refused(b, b.sign_in("acme", self.p))
        self.p.claims = {}
        for header, secret, signer in (({"alg": "HS256"}, public, None), ({"alg": "HS256"}, b"never usable", None),
                                       ({"kid": kid}, None, foreign), ({"kid": kid, "alg": "ES256"}, b"\0", None),
                                       ({"kid": None}, None, foreign)):
            with self.subTest(header=header, secret=secret):
                self.p.header, self.p.secret, self.p.signer = header, secret, signer
                self.refused(b, b.sign_in("acme", self.p))
        self.p.header, self.p.secret, self.p.signer = {}, None, None
        self.p.keys.remove(rsa)
        self.p.claims = {"aud": [CLIENT, "another"], "azp": CLIENT}
        self.assertEqual(b.sign_in("acme", self.p).status, 303)  # the same way, with a sound token

    def test_answers_to_another_sign_in(self):
        b, victim = Browser(self), Browser(self)
        there = b.begin("acme")
        good = self.p.visit(there)
        self.refused(victim, victim.come_back("acme", good))  # planted in somebody else's browser
        victim.begin("acme")
        self.refused(victim, victim.come_back("acme", good))
        for change in ({"state": "x"}, {"state": None}, {"iss": self.q.issuer}, {"iss": None}, {"code": None},
                       {"code": "x" * 3000}, {"error": "access_denied"}, {"code": "never-given"}):
            with self.subTest(change=change):
                fresh = Browser(self)
                self.refused(fresh, fresh.sign_in("acme", self.p, **change))
        other = Browser(self)  # mix-up: begun with one, answered by the other
        query = self.p.visit(other.begin("acme"))
        self.refused(other, other.come_back("other", dict(query, iss=self.q.issuer)))
        self.assertEqual(b.ask("GET", "/api/v1/auth/sso/acme/callback?code=a&code=b&state=c").status, 401)
        self.assertEqual(b.come_back("nobody", good).status, 404)

    def test_an_answer_counts_once(self):
        b = Browser(self)
        there = b.begin("acme")
        kept = dict(b.cookies)
        self.assertEqual(b.come_back("acme", self.p.visit(there)).status, 303)
        self.assertNotIn("__Host-openpolicy-sso", b.cookies)
        thief = Browser(self)
        thief.cookies = dict(kept)
        r = thief.come_back("acme", self.p.visit(there))  # even with a new code
        self.assertEqual(r.status, 401, r)
        self.assertEqual(thief.me().status, 401)
        forged = Browser(self)
        for value in (kept["__Host-openpolicy-sso"][:-1] + "A", "x", "a.b", "." * 60, "A" * 3000):
            forged.cookies = {"__Host-openpolicy-sso": value}
            self.assertEqual(forged.come_back("acme", self.p.visit(there)).status, 401, value)

    def test_it_comes_back_here_and_nowhere_else(self):
        for back in ("//evil.test", "https://evil.test", "/\\evil.test", "x", "", "/a\nb", '/"x'):
            r = self.a.get("/api/v1/auth/sso/acme/login?" + urllib.parse.urlencode({"return": back}))
            self.assertEqual(r.status, 400, back)

    def test_a_document_that_is_another_issuers(self):
        with Provider("/broken") as p:
            self.put_both(broken=p.settings(), foreign=dict(p.settings(), ca_cert=self.p.ca))
            self.assertEqual(self.a.get("/api/v1/auth/sso/foreign/login").status, 502)  # nobody vouches for it
            for change in ({"issuer": "https://evil.test"}, {"issuer": None}, {"token_endpoint": None},
                           {"authorization_endpoint": "http://evil.test/"}, {"jwks_uri": "javascript:x"}):
                with self.subTest(change=change):
                    p.discovery = change
                    self.assertProblem(self.a.get("/api/v1/auth/sso/broken/login"), 502, "provider_failed")
            p.discovery = {}
            self.assertEqual(self.a.get("/api/v1/auth/sso/broken/login").status, 303)
        self.put_both()

    def test_settings_are_judged_before_they_are_kept(self):
        token = self.admin()
        good = self.p.settings()
        for change, word in (({"issuer": "http://x.test"}, "https"), ({"issuer": None}, "issuer"),
                             ({"client_id": None}, "client_id"), ({"scopes": "email"}, "openid"),
                             ({"preset": "none"}, "preset"), ({"preset": "microsoft"}, "tenant"),
                             ({"domain": ["x"]}, "domain"), ({"domains": ["X"]}, "domains"),
                             ({"link": "always"}, "link"), ({"create": "yes"}, "create")):
            value = {"x": {k: v for k, v in dict(good, **change).items() if v is not None}}
            r = self.a.put("/api/v1/config/auth.providers", {"value": value}, token=token)
            self.assertEqual(r.status, 422, (change, r))
            self.assertIn(word, r.json()["detail"])

    def test_keys_that_change_are_looked_for_but_not_each_time(self):
        b = Browser(self)
        with Provider("/turning") as p:
            p.person = dict(self.p.person)
            p.keys = [Key("RS256", "first")]
            self.put_both(turning=p.settings(create=True))
            count = lambda: sum(1 for s in p.requests if s.path == "/turning/jwks")
            for _ in range(3):
                self.assertEqual(b.sign_in("turning", p).status, 303)
            self.assertEqual(count(), 1)
            p.signer = Key("ES256", "made-up")  # within a minute of the last look: no request
            for _ in range(3):
                self.assertEqual(b.sign_in("turning", p).status, 401)
            self.assertEqual(count(), 1)
        self.put_both()

    def test_another_appliance_signs_people_in(self):
        with Appliance(target="host") as idp:
            base = f"https://{APPLIANCE_SEES}:{idp.https_port}"
            root = idp.login()
            self.assertEqual(idp.put("/api/v1/config/auth.issuer", {"value": base}, token=root).status, 200)
            client = idp.post("/api/v1/auth/clients", {
                "name": "The other", "scopes": ["openid", "email", "profile"],
                "redirect_uris": [f"https://{HOST}/api/v1/auth/sso/ours/callback"]}, token=root).json()
            self.assertEqual(idp.post("/api/v1/auth/users", {"email": self.email, "password": GOOD, "name": "Grace"},
                                      token=root, timeout=60).status, 201)
            pem = ssl.DER_cert_to_PEM_cert(idp.peer_certificate())
            self.put_both(ours={"preset": "openpolicy", "issuer": base, "client_id": client["client_id"],
                                "client_secret": client["client_secret"], "ca_cert": pem, "server_name": "openpolicy",
                                "create": True, "trust_email": True})
            b = Browser(self)
            there = urllib.parse.urlsplit(b.begin("ours", "/home"))
            r = idp.get(there.path + "?" + there.query, token=idp.login(self.email, GOOD))
            self.assertEqual(r.status, 303, r)
            back = urllib.parse.urlsplit(r.headers["location"])
            r = b.ask("GET", back.path + "?" + back.query)
            self.assertEqual((r.status, r.headers.get("location")), (303, "/home"), r)
            self.assertEqual(b.me().json()["email"], self.email)
        self.put_both()
