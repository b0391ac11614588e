# SPDX-License-Identifier: Apache-2.0
"""test_oauth.py: an application signs people in: the code flow with PKCE, and what is refused on the way."""
import base64
import concurrent.futures
import hashlib
import os
import urllib.parse

from test_auth import AuthCase, part, segment

HOST = "appliance.test"
BACK = "https://app.test/back?keep=1"


class OAuth(AuthCase):
    def client(self, **more):
        body = {"name": "App", "redirect_uris": [BACK], "scopes": ["openid", "email", "profile", "policies:*"]}
        r = self.a.post("/api/v1/auth/clients", dict(body, **more), token=self.a.login())
        self.assertEqual(r.status, 201, r)
        return r.json()

    def form(self, path, fields, basic=None):
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Host": HOST}
        if basic:
            pair = "%s:%s" % (basic["client_id"], basic["client_secret"])
            headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
        return self.a.request("POST", path, urllib.parse.urlencode(fields).encode(), headers=headers)

    def authorize(self, client, token=None, drop=(), **more):
        verifier = segment(os.urandom(32))
        query = {"client_id": client["client_id"], "redirect_uri": BACK, "response_type": "code",
                 "scope": "openid email policies:*", "state": "a b&c", "nonce": "n-1",
                 "code_challenge": segment(hashlib.sha256(verifier.encode()).digest()),
                 "code_challenge_method": "S256"}
        query.update(more)
        for name in drop:
            del query[name]
        r = self.a.get("/oauth2/authorize?" + urllib.parse.urlencode(query), token=token,
                       headers={"Host": HOST})
        answer = {}
        if r.status == 303:
            self.assertTrue(r.headers["location"].startswith(BACK + "&"), r.headers)
            answer = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(r.headers["location"]).query))
        return r, answer, verifier

    def redeem(self, client, code, verifier, **more):
        fields = {"grant_type": "authorization_code", "code": code, "redirect_uri": BACK,
                  "code_verifier": verifier}
        return self.form("/oauth2/token", dict(fields, **more), client)

    def refused(self, r, status, error):
        self.assertEqual((r.status, r.json().get("error")), (status, error), r)

    def test_the_code_flow(self):
        client, user = self.client(), self.new_user()
        token = self.tokens(user["email"])["access_token"]
        base = self.a.get("/.well-known/openid-configuration", headers={"Host": HOST}).json()
        self.assertEqual(base["code_challenge_methods_supported"], ["S256"])
        r, answer, verifier = self.authorize(client)
        self.assertEqual(r.status, 200)  # nobody is signed in: our page asks
        self.assertIn("text/html", r.headers["content-type"])
        r, answer, verifier = self.authorize(client, prompt="none")
        self.assertEqual(answer["error"], "login_required")
        r, answer, verifier = self.authorize(client, token)
        self.assertEqual((answer["state"], answer["iss"], answer["keep"]), ("a b&c", base["issuer"], "1"))
        r = self.redeem(client, answer["code"], verifier)
        self.assertEqual(r.status, 200, r)
        got = r.json()
        claims = part(got["id_token"], 1)
        self.assertEqual((claims["iss"], claims["aud"], claims["sub"], claims["nonce"], claims["email"]),
                         (base["issuer"], client["client_id"], user["id"], "n-1", user["email"]))
        self.assertNotIn("name", claims)
        self.assertEqual(part(got["access_token"], 1)["client_id"], client["client_id"])
        access = got["access_token"]
        info = self.a.get("/oauth2/userinfo", token=access).json()
        self.assertEqual((info["sub"], info["email"]), (user["id"], user["email"]))
        self.assertEqual(self.a.get("/api/v1/policies", token=access).status, 200)
        self.assertEqual(self.a.get("/api/v1/auth/me", token=access).status, 403)  # not among its scopes
        self.assertEqual(self.a.get("/api/v1/auth/me", token=got["id_token"]).status, 401)  # not an access token
        # Refresh: only here, only by this client.
        self.assertEqual(self.a.post("/api/v1/auth/refresh", {"refresh_token": got["refresh_token"]}).status, 401)
        other = self.client()
        self.refused(self.form("/oauth2/token", {"grant_type": "refresh_token",
                                                 "refresh_token": got["refresh_token"]}, other), 400, "invalid_grant")
        r = self.form("/oauth2/token", {"grant_type": "refresh_token", "refresh_token": got["refresh_token"]}, client)
        self.assertEqual(r.status, 200, r)
        self.assertEqual(r.json()["scope"], "openid email policies:*")
        # Introspection, revocation.
        asked = {"token": r.json()["access_token"]}
        self.assertTrue(self.form("/oauth2/introspect", asked, other).json()["active"])
        self.assertEqual(self.form("/oauth2/revoke", asked, other).status, 200)
        self.assertTrue(self.form("/oauth2/introspect", asked, other).json()["active"])  # not the other's to end
        self.assertEqual(self.form("/oauth2/revoke", {"token": r.json()["refresh_token"]}, client).status, 200)
        self.assertFalse(self.form("/oauth2/introspect", asked, other).json()["active"])
        self.assertEqual(self.a.get("/api/v1/policies", token=access).status, 401)

    def test_a_code_works_once_and_its_replay_ends_what_it_gave(self):
        client = self.client()
        token = self.tokens(self.new_user()["email"])["access_token"]
        _, answer, verifier = self.authorize(client, token)
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            got = list(pool.map(lambda _: self.redeem(client, answer["code"], verifier), range(4)))
        self.assertEqual([r.status for r in got].count(200), 1, got)
        good = next(r for r in got if r.status == 200).json()["access_token"]
        self.assertEqual(self.a.get("/api/v1/policies", token=good).status, 401)
        self.assertEqual(self.a.get("/api/v1/auth/me", token=token).status, 200)  # their own session lives

    def test_what_does_not_fit_is_refused(self):
        client, other = self.client(), self.client()
        token = self.tokens(self.new_user()["email"])["access_token"]
        for drop, more, error in ((("code_challenge",), {}, "invalid_request"),
                                  ((), {"code_challenge_method": "plain"}, "invalid_request"),
                                  ((), {"response_type": "token"}, "unsupported_response_type"),
                                  ((), {"response_mode": "fragment"}, "invalid_request"),
                                  ((), {"scope": "openid config:*"}, "invalid_scope")):
            self.assertEqual(self.authorize(client, token, drop, **more)[1].get("error"), error, (drop, more))
        for drop, more in (((), {"redirect_uri": BACK + "x"}), (("redirect_uri",), {}), (("client_id",), {}),
                           ((), {"client_id": "0190a0b0-c0d0-7000-8000-000000000001"})):
            r, _, _ = self.authorize(client, token, drop, **more)
            self.assertEqual(r.status, 400)  # never redirected
            self.assertNotIn("location", r.headers)
        for change in ({"code_verifier": "x" * 43}, {"redirect_uri": BACK + "x"}):
            _, answer, verifier = self.authorize(client, token)
            fields = {"grant_type": "authorization_code", "code": answer["code"], "redirect_uri": BACK,
                      "code_verifier": verifier}
            self.refused(self.form("/oauth2/token", dict(fields, **change), client), 400, "invalid_grant")
            self.refused(self.redeem(client, answer["code"], verifier), 400, "invalid_grant")  # used up
        _, answer, verifier = self.authorize(client, token)
        self.refused(self.redeem(other, answer["code"], verifier), 400, "invalid_grant")
        self.refused(self.redeem(dict(client, client_secret="ocs_wrong"), answer["code"], verifier), 401,
                     "invalid_client")
        self.refused(self.form("/oauth2/token", {"grant_type": "password"}, client), 400, "unsupported_grant_type")
        self.refused(self.form("/oauth2/token", [("grant_type", "a"), ("grant_type", "b")], client), 400,
                     "invalid_request")
        self.assertEqual(self.redeem(client, answer["code"], verifier).status, 200)

    def test_a_pushed_request_and_a_public_client(self):
        client = self.client(confidential=False)
        self.assertNotIn("client_secret", client)
        token = self.tokens(self.new_user()["email"])["access_token"]
        verifier = segment(os.urandom(32))
        fields = {"client_id": client["client_id"], "redirect_uri": BACK, "response_type": "code", "scope": "openid",
                  "code_challenge": segment(hashlib.sha256(verifier.encode()).digest()),
                  "code_challenge_method": "S256", "state": "s"}
        r = self.form("/oauth2/par", fields)
        self.assertEqual(r.status, 201, r)
        query = urllib.parse.urlencode({"client_id": client["client_id"], "request_uri": r.json()["request_uri"]})
        r = self.a.get("/oauth2/authorize?" + query, token=token)
        self.assertEqual(r.status, 303, r)
        code = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(r.headers["location"]).query))["code"]
        r = self.form("/oauth2/token", {"grant_type": "authorization_code", "code": code, "redirect_uri": BACK,
                                        "code_verifier": verifier, "client_id": client["client_id"]})
        self.assertEqual(r.status, 200, r)
        self.refused(self.form("/oauth2/par", dict(fields, redirect_uri="https://evil.test/")), 400, "invalid_request")

    def test_an_application_for_itself(self):
        client = self.client(grant_types=["client_credentials"], scopes=["policies:*"])
        for _ in range(3):
            r = self.form("/oauth2/token", {"grant_type": "client_credentials"}, client)
            self.assertEqual(r.status, 200, r)
            self.assertNotIn("refresh_token", r.json())
        access = r.json()["access_token"]
        self.assertEqual(self.a.get("/api/v1/policies", token=access).status, 200)
        self.assertEqual(self.a.get("/api/v1/auth/users", token=access).status, 403)  # its owner may, it may not
        admin = self.a.login()
        self.assertEqual(self.status("DELETE", "/api/v1/auth/clients/" + client["client_id"], None, admin), 204)
        self.assertEqual(self.a.get("/api/v1/policies", token=access).status, 401)

    def test_registering(self):
        admin = self.a.login()
        user = self.tokens(self.new_user()["email"])["access_token"]
        self.assertEqual(self.status("POST", "/api/v1/auth/clients", {"name": "x"}, user), 403)
        for more in ({"redirect_uris": ["http://app.test/"]}, {"redirect_uris": ["https://app.test/#f"]},
                     {"redirect_uris": ["javascript:alert(1)"]}, {"redirect_uris": []}, {"scopes": ["no scope"]},
                     {"grant_types": ["password"]}, {"grant_types": ["client_credentials"], "confidential": False}):
            r = self.a.post("/api/v1/auth/clients", dict({"name": "x", "redirect_uris": [BACK]}, **more), token=admin)
            self.assertEqual(r.status, 422, (more, r))


DEVICE = "urn:ietf:params:oauth:grant-type:device_code"


class Device(OAuth):
    """RFC 8628."""
    def begin(self, **more):
        client = self.client(redirect_uris=[], grant_types=[DEVICE, "refresh_token"], **more)
        r = self.form("/oauth2/device_authorization", {"client_id": client["client_id"]},
                      client if client["confidential"] else None)
        self.assertEqual(r.status, 200, r)
        return client, r.json()

    def poll(self, client, asked):
        return self.form("/oauth2/token", {"grant_type": DEVICE, "device_code": asked["device_code"],
                                           "client_id": client["client_id"]},
                         client if client["confidential"] else None)

    def decide(self, asked, token, allow):
        return self.a.post("/api/v1/auth/devices/" + asked["user_code"], {"allow": allow}, token=token)

    def test_a_television_signs_in(self):
        user = self.new_user()
        token = self.tokens(user["email"])["access_token"]
        for confidential in (True, False):
            client, asked = self.begin(confidential=confidential)
            self.assertRegex(asked["user_code"], "^[BCDFGHJKLMNPQRSTVWXZ]{4}-[BCDFGHJKLMNPQRSTVWXZ]{4}$")
            self.assertEqual((asked["expires_in"], asked["interval"]), (600, 5))
            self.refused(self.poll(client, asked), 400, "authorization_pending")
            self.refused(self.poll(client, asked), 400, "slow_down")
            shown = self.a.get("/api/v1/auth/devices/" + asked["user_code"].lower().replace("-", ""), token=token)
            self.assertEqual((shown.status, shown.json()["name"]), (200, "App"), shown)
            self.assertEqual(self.decide(asked, token, True).status, 200)
            self.assertEqual(self.decide(asked, token, True).status, 404)  # once
            with concurrent.futures.ThreadPoolExecutor(6) as pool:
                got = list(pool.map(lambda _: self.poll(client, asked), range(6)))
            self.assertEqual(sorted(r.status for r in got), [200] + [400] * 5, got)
            tokens = next(r.json() for r in got if r.status == 200)
            self.assertEqual(part(tokens["id_token"], 1)["sub"], user["id"])
            self.assertIn("refresh_token", tokens)
            me = self.form("/oauth2/userinfo", {"access_token": "x"})
            self.assertEqual(me.status, 401)
            r = self.a.get("/oauth2/userinfo", token=tokens["access_token"])
            self.assertEqual(r.json()["sub"], user["id"])

    def test_refusals(self):
        user = self.new_user()
        token = self.tokens(user["email"])["access_token"]
        client, asked = self.begin()
        self.assertEqual(self.decide(asked, token, False).status, 200)
        self.refused(self.poll(client, asked), 400, "access_denied")
        self.refused(self.poll(client, asked), 400, "invalid_grant")
        other, theirs = self.begin()
        self.refused(self.poll(client, theirs), 400, "invalid_grant")  # another client's code
        plain = self.client()
        self.refused(self.form("/oauth2/device_authorization", {}, plain), 400, "unauthorized_client")
        key = self.a.post("/api/v1/auth/api-keys", {"name": "k", "scopes": ["*"]}, token=token).json()["key"]
        self.assertEqual(self.decide(theirs, key, True).status, 403)  # a key is no person
        self.assertEqual(self.decide(theirs, None, True).status, 401)
        for wrong in ("BBBB-BBBB", "AAAA", "x" * 100):
            self.assertEqual(self.decide({"user_code": wrong}, token, True).status, 404)
        statuses = [self.decide({"user_code": "BBBB-BBBC"}, token, True).status for _ in range(6)]
        self.assertEqual(statuses[-1], 429, statuses)  # guessing costs time

    def test_its_page_asks_who_one_is(self):
        r = self.a.get("/oauth2/device?user_code=BBBB-BBBB")
        self.assertEqual(r.status, 200)
        self.assertIn(b"signin.js", r.body)
        user = self.new_user()
        r = self.a.get("/oauth2/device", token=self.tokens(user["email"])["access_token"])
        self.assertIn(b"device.js", r.body)
        self.assertIn("default-src", r.headers["content-security-policy"])
