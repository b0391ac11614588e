# SPDX-License-Identifier: Apache-2.0
"""test_attacks.py: what attackers of an identity service try, one test per kind. Kinds that have a file of
their own are there: TLS (test_tls), framing (test_http), passkeys, other tenants' ids (test_organisations),
object by object access for guest, user and administrator (test_auth)."""
import base64
import concurrent.futures
import hashlib
import hmac
import json
import statistics
import time

from test_auth import GOOD, OTHER, AuthCase, part, segment

A = "/api/v1/auth/"
SQL = ("'", "' OR '1'='1", "1;DROP TABLE user", "') UNION SELECT 1,2,3--", "\\", "%", "*", "\"", "0x27", "a'/*")


class Attacks(AuthCase):
    config = {"auth.registration": "invite"}

    def me(self, token):
        return self.a.get(A + "me", headers={"Authorization": b"Bearer " + token if isinstance(token, bytes)
                                             else "Bearer " + token})

    def user(self):
        user = self.new_user()
        return user, self.tokens(user["email"])["access_token"]

    def test_tokens_signed_with_what_everybody_knows(self):
        _, good = self.user()
        header, claims = part(good, 0), part(good, 1)
        jwk = self.a.get("/.well-known/jwks.json").json()["keys"][0]
        x, y = (base64.urlsafe_b64decode(jwk[k] + "=") for k in "xy")
        der = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107034200") + b"\x04" + x + y
        pem = b"-----BEGIN PUBLIC KEY-----\n" + base64.encodebytes(der) + b"-----END PUBLIC KEY-----\n"
        secrets = (b"", b"secret", x + y, b"\x04" + x + y, der, pem, pem.strip(), json.dumps(jwk).encode(),
                   jwk["kid"].encode(), jwk["x"].encode())
        claims["role"] = "admin"
        for alg in ("HS256", "HS384", "HS512", "hs256"):
            for secret in secrets:
                text = ".".join(segment(json.dumps(d).encode()) for d in (dict(header, alg=alg), claims))
                digest = {"HS384": hashlib.sha384, "HS512": hashlib.sha512}.get(alg, hashlib.sha256)
                forged = text + "." + segment(hmac.new(secret, text.encode(), digest).digest())
                self.assertEqual(self.me(forged).status, 401, (alg, secret))

    def test_tokens_in_all_sorts_of_disguises(self):
        _, good = self.user()
        h, c, s = good.split(".")
        header, claims = part(good, 0), part(good, 1)
        for alg in ("none", "None", "NONE", "nOnE", "none ", " none", "", None, 0, ["none"], ["ES256"], "ES256 ",
                    "es256", "ES256K", "ES384", "ES512", "EdDSA", "RS256", "PS256", "A128KW", "dir",
                    "ES256\u0000", "ES256\n"):
            for signature in ("", s):
                forged = segment(json.dumps(dict(header, alg=alg)).encode()) + "." + c + "." + signature
                self.assertEqual(self.me(forged).status, 401, (alg, signature))
        for more in ({"jku": "http://127.0.0.1:9/k"}, {"x5u": "http://127.0.0.1:9/k"}, {"jwk": {"kty": "EC"}},
                     {"x5c": ["AAAA"]}, {"kid": "/etc/passwd"}, {"kid": "' OR 1=1"}, {"kid": "a\u0000b"},
                     {"kid": "k" * 65536}, {"kid": None}, {"kid": []}, {"typ": "JWT"}, {"typ": None}, {"b64": False},
                     {"crit": ["exp"]}, {"zip": "DEF"}):
            forged = segment(json.dumps(dict(header, **more)).encode()) + "." + c + "." + s
            self.assertIn(self.me(forged).status, (401, 431), more)
        twice = json.dumps(claims)[:-1] + ",\"role\":\"admin\"}"
        for text in (twice.encode(), b"\xef\xbb\xbf" + json.dumps(claims).encode(), b"\xff\xfe", b"[]", b"null", b"{",
                     json.dumps({"a": claims}).encode(), b"[" * 5000):
            self.assertIn(self.me(h + "." + segment(text) + "." + s).status, (401, 431), text[:40])
        began = time.monotonic()
        answer, _ = self.a.raw(b"GET /api/v1/auth/me HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + b"A" * 1000000 +
                               b"\r\n\r\n")
        self.assertRegex(answer.split(b"\r\n")[0], b" (400|401|413|431) ")
        self.assertLess(time.monotonic() - began, 5)
        self.assertEqual(self.me(good).status, 200)

    def test_a_token_dies_with_what_it_rests_on(self):
        cases = {"role": {"role": "admin"}, "state": {"state": "disabled"}, "password": {"password": OTHER}}
        for name, change in cases.items():
            user, token = self.user()
            self.assertEqual(self.status("PUT", A + "users/" + user["id"], change, self.admin()), 200, name)
            self.assertEqual(self.me(token).status, 401, name)
        user, token = self.user()
        self.assertEqual(self.status("DELETE", A + "users/" + user["id"], None, self.admin()), 204)
        self.assertEqual(self.me(token).status, 401)

    def test_a_cookie_put_there_by_somebody_else(self):
        body = {"email": self.new_user()["email"], "password": GOOD, "cookie": True}
        planted = self.a.post(A + "login", body, timeout=60).headers["set-cookie"].split(";")[0]
        victim = dict(body, email=self.new_user()["email"])
        r = self.a.post(A + "login", victim, headers={"Cookie": planted}, timeout=60)
        fresh = r.headers["set-cookie"].split(";")[0]
        self.assertNotEqual(fresh, planted)
        self.assertEqual(self.a.get(A + "me", headers={"Cookie": planted}).status, 401)
        self.assertEqual(self.a.get(A + "me", headers={"Cookie": fresh}).json()["email"], victim["email"])
        for two in (planted + "; " + fresh, fresh + "; " + fresh):
            self.assertEqual(self.a.get(A + "me", headers={"Cookie": two}).status, 401)

    def test_what_other_sites_can_make_a_browser_send(self):
        body = {"email": self.new_user()["email"], "password": GOOD, "cookie": True}
        cookie = self.a.post(A + "login", body, timeout=60).headers["set-cookie"].split(";")[0]
        text = json.dumps({"name": "Owned"}).encode()
        for headers in ({}, {"Origin": "null"}, {"Origin": "https://evil.test"}, {"Origin": "https://appliance.test."},
                        {"Origin": "https://appliance.test", "Sec-Fetch-Site": "cross-site"}):
            for kind in ("application/json", "text/plain", "application/x-www-form-urlencoded"):
                r = self.a.request("PUT", A + "me", text, headers={
                    "Host": "appliance.test", "Cookie": cookie, "Content-Type": kind, **headers})
                self.assertEqual(r.status, 403, (headers, kind))
        own = {"Host": "appliance.test", "Cookie": cookie, "Origin": "https://appliance.test"}
        for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
            r = self.a.request("PUT", A + "me", text, headers={**own, "Content-Type": kind})
            self.assertEqual(r.status, 415, kind)
        for name in ("X-HTTP-Method-Override", "X-Method-Override", "_method"):
            r = self.a.request("GET", A + "me", headers={"Host": "appliance.test", "Cookie": cookie, name: "DELETE"})
            self.assertEqual(r.status, 200)
        self.assertEqual(self.a.request("GET", A + "me", headers=own).json()["name"], "A Person")

    def test_the_time_of_a_refusal_tells_nothing(self):
        known = [self.new_user()["email"] for _ in range(8)]
        taken = {True: [], False: []}
        for i, email in enumerate(known):
            for there in (True, False):
                body = {"email": email if there else f"nobody{i}@example.org", "password": OTHER}
                began = time.monotonic()
                self.assertEqual(self.a.post(A + "login", body, timeout=60).status, 401)
                taken[there].append(time.monotonic() - began)
        ratio = statistics.median(taken[True]) / statistics.median(taken[False])
        self.assertTrue(0.5 < ratio < 2, taken)

    def test_text_that_wants_to_be_sql(self):
        tried = 0
        document = self.a.get("/api/openapi.json").json()
        for path, operations in document["paths"].items():
            get = operations.get("get")
            if not get or "{" in path or not path.startswith("/api/v1/"):
                continue
            for parameter in get.get("parameters", []):
                if parameter.get("in") != "query":
                    continue
                for text in SQL[:4]:
                    query = "".join("%%%02X" % b for b in text.encode())
                    r = self.a.get(f"{path}?{parameter['name']}={query}", token=self.admin(), timeout=60)
                    self.assertIn(r.status, (200, 206, 303, 304, 400, 404, 422), (path, parameter["name"], text, r))
                    tried += 1
        self.assertGreater(tried, 60)
        for text in SQL:
            for body in ({"email": text, "password": text}, {"email": "a@example.org", "password": text}):
                self.assertIn(self.a.post(A + "login", body, timeout=60).status, (401, 429))
        self.assertGreaterEqual(self.a.get(A + "users", token=self.admin()).json()["total"], 1)

    def test_members_nobody_may_set(self):
        user, token = self.user()
        for more in ({"role": "admin"}, {"state": "active"}, {"id": "x"}, {"organisation": "x"},
                     {"email": "b@example.org"}, {"verified_ns": 1}, {"__proto__": {"role": "admin"}}, {"version": 9}):
            self.assertEqual(self.status("PUT", A + "me", {"name": "N", **more}, token), 422, more)
        r = self.a.put(A + "me", b'{"name":"N","name":"M"}', token=token, headers={"Content-Type": "application/json"})
        self.assertEqual(r.status, 400)
        self.assertEqual(self.a.get(A + "me", token=token).json()["role"], "user")

    def test_lines_smuggled_into_headers_and_logs(self):
        user, token = self.user()
        for path in ("/api/v1/auth/me%0d%0aX-Evil:%201",
                     "/oauth2/authorize?client_id=x%0d%0aX-Evil:1&state=%0d%0aX-Evil:1", "/%0d%0aSet-Cookie:a=b"):
            r = self.a.get(path, token=token)
            self.assertNotIn("x-evil", r.headers)
            self.assertNotIn("set-cookie", r.headers)
        r = self.a.get("/api/v1/config", token=token, headers={"User-Agent": "evil\x1b[31magent"})
        self.assertEqual(r.status, 400)
        self.a.get("/api/v1/config", token=token, headers={"User-Agent": "evil\tagent"})
        rows = self.a.get(A + "audit-logs?limit=20", token=self.admin()).body.decode()
        self.assertIn("evil?agent", rows)
        for forwarded in ("X-Forwarded-For", "X-Real-IP", "Forwarded", "True-Client-IP"):
            self.a.get("/api/v1/config", token=token, headers={forwarded: "203.0.113.77"})
        self.assertNotIn("203.0.113.77", self.a.get(A + "audit-logs?limit=20", token=self.admin()).body.decode())

    def test_paths_that_mean_another_route(self):
        _, user_token = self.user()
        for path in ("/api/v1/auth/../config", "/api/v1/auth/%2e%2e/config", "/api/v1//config", "/api/v1/config/",
                     "/api/v1/config%00", "/api/v1/%63onfig", "/API/V1/CONFIG", "/api/v1/./config",
                     "/api/v1/config;a=b", "/api/v1/auth/login/../../config", "/api\\v1\\config",
                     "/api/v1/config%2f", "/api/v1/auth/%252e%252e/config"):
            for token in (None, user_token):
                r = self.a.get(path, token=token)
                self.assertIn(r.status, (400, 401, 403, 404, 308), (path, r))
        for verb in ("TRACE", "CONNECT", "get", "PROPFIND", "G ET"):
            answer, _ = self.a.raw(f"{verb} /api/v1/config HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
            self.assertRegex(answer.split(b"\r\n")[0], b" (400|401|405|501) ", verb)
        self.assertEqual(self.a.request("HEAD", "/api/v1/config").status, 401)

    def test_documents_made_to_break_parsers(self):
        _, token = self.user()
        head = b'{"name":'
        for body in (head + b"[" * 100000, head + b"1" * 200000 + b"}", head + b"1e400}", head + b'"\\ud800"}',
                     head + b'"\\u0000"}', head + b'"a"} x', head + b'"a"}{}', head + b'"\xff"}',
                     b"\xef\xbb\xbf" + head + b'"a"}', head + b"NaN}", head + b"'a'}", head + b'"a",}',
                     b"", b"null", b"[]", head + b'"\x01"}', head + b'"a"'):
            began = time.monotonic()
            r = self.a.put(A + "me", body, token=token, headers={"Content-Type": "application/json"}, timeout=60)
            self.assertIn(r.status, (400, 413, 422), (body[:30], r))
            self.assertLess(time.monotonic() - began, 10)

    def test_one_invitation_and_thirty_two_who_want_it(self):
        email = f"race-{time.monotonic_ns()}@example.org"
        made = self.a.post(A + "invites", {"email": email}, token=self.admin()).json()
        body = {"email": email, "password": GOOD, "name": "R", "invite": made["invite"]}
        with concurrent.futures.ThreadPoolExecutor(32) as pool:
            got = list(pool.map(lambda _: self.a.post(A + "register", body, timeout=120).status, range(32)))
        self.assertEqual(got.count(201), 1, got)

    def test_what_is_stored_stays_text(self):
        evil = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"
        user, token = self.user()
        self.assertEqual(self.status("PUT", A + "me", {"name": evil}, token), 200)
        r = self.a.get(A + "me", token=token)
        self.assertEqual(r.json()["name"], evil)
        self.assertTrue(r.headers["content-type"].startswith("application/json"))
        self.assertEqual(r.headers["x-content-type-options"], "nosniff")
        page = self.a.get("/")
        policy = page.headers["content-security-policy"]
        for part_ in ("unsafe-inline", "unsafe-eval", "*"):
            self.assertNotIn(part_, policy)
        r = self.a.get("/oauth2/authorize?client_id=" + user["id"] + "&redirect_uri=https://evil.test/")
        self.assertNotIn("location", r.headers)
        self.assertEqual(r.status, 400)


class Stuffing(AuthCase):
    def test_many_accounts_from_one_network_cost_time(self):
        got = [self.a.post(A + "login", {"email": f"list{i}@example.org", "password": OTHER}, timeout=60)
               for i in range(45)]
        refused = [r for r in got if r.status == 429]
        self.assertTrue(refused, [r.status for r in got])
        self.assertEqual({r.status for r in got}, {401, 429})
        self.assertGreaterEqual(int(refused[0].headers["retry-after"]), 1)
