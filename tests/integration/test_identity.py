# SPDX-License-Identifier: Apache-2.0
"""test_identity.py: accounts and second factors from outside: codes, invitations, an authenticator app."""
import base64
import concurrent.futures
import hashlib
import hmac
import struct
import time

from appliance import ADMIN_EMAIL, ADMIN_PASSWORD
from test_auth import GOOD, OTHER, AuthCase

A = "/api/v1/auth/"


def totp(secret, step):
    """RFC 6238, independently of the appliance."""
    mac = hmac.new(base64.b32decode(secret), struct.pack(">Q", step), hashlib.sha1).digest()
    at = mac[19] & 15
    return "%06d" % ((struct.unpack(">I", mac[at:at + 4])[0] & 0x7FFFFFFF) % 1000000)


def now_step():
    return int(time.time()) // 30


class SecondFactor(AuthCase):
    def turn_on(self):
        user = self.new_user()
        token = self.tokens(user["email"])["access_token"]
        made = self.a.post(A + "mfa/totp", token=token).json()
        self.assertIn(made["secret"], made["uri"])
        self.assertTrue(made["qr_svg"].startswith("<svg"))
        secret = made["secret"] + "=" * (-len(made["secret"]) % 8)
        r = self.a.post(A + "mfa/totp/confirm", {"code": totp(secret, now_step())}, token=token)
        self.assertEqual(r.status, 200, r)
        return user, secret, r.json()["recovery_codes"], token

    def begin(self, user):
        r = self.a.post(A + "login", {"email": user["email"], "password": GOOD}, timeout=60)
        self.assertProblem(r, 401, "second_factor_required")
        self.assertNotIn("access_token", r.json())
        return r.json()["mfa_token"]

    def finish(self, ticket, code):
        return self.a.post(A + "login/second-factor", {"mfa_token": ticket, "code": code})

    def test_a_code_of_the_app_signs_in_once(self):
        user, secret, _, _ = self.turn_on()
        ticket = self.begin(user)
        code = totp(secret, now_step() + 1)  # the step of the confirmation is used up
        self.assertProblem(self.finish(ticket, "000000"), 401, "code_refused")
        r = self.finish(ticket, code)
        self.assertEqual(r.status, 200, r)
        self.assertEqual(self.a.get(A + "me", token=r.json()["access_token"]).status, 200)
        self.assertProblem(self.finish(ticket, code), 401, "mfa_token_refused")
        self.assertProblem(self.finish(self.begin(user), code), 401, "code_refused")

    def test_of_many_with_one_recovery_code_one_gets_in(self):
        user, _, codes, _ = self.turn_on()
        tickets = [self.begin(user) for _ in range(4)]
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            got = list(pool.map(lambda t: self.finish(t, codes[0]).status, tickets))
        self.assertEqual(got.count(200), 1, got)

    def test_it_outlives_a_restart_and_an_administrator_removes_it(self):
        user, _, codes, token = self.turn_on()
        self.a.restart()
        ticket = self.begin(user)
        self.assertEqual(self.finish(ticket, codes[1].lower().replace("-", " ")).status, 200)
        admin = self.a.login()
        self.assertEqual(self.status("DELETE", A + "users/" + user["id"] + "/mfa", None, token), 403)
        self.assertEqual(self.status("DELETE", A + "users/" + user["id"] + "/mfa", None, admin), 204)
        self.tokens(user["email"])
        export = self.a.get(A + "audit-logs/export", token=admin).body.decode()
        for secret in codes:
            self.assertNotIn(secret, export)
        type(self)._admin = None


class Mailbox(AuthCase):
    config = {"auth.registration": "invite"}

    def outbox(self, kind, to):
        return [m for m in self.a.get(A + "outbox?limit=100", token=self.admin()).json()["items"]
                if m["kind"] == kind and m["to"] == to]

    def code(self, kind, to):
        deadline = time.monotonic() + 10
        while not self.outbox(kind, to):
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.1)
        return self.outbox(kind, to)[0]["body"].split(": ")[1][:8]

    def test_a_forgotten_password(self):
        user = self.new_user()
        token = self.tokens(user["email"])["access_token"]
        known = self.a.post(A + "forgot-password", {"email": user["email"]})
        unknown = self.a.post(A + "forgot-password", {"email": "nobody-here@example.org"})
        self.assertEqual((known.status, known.body), (202, unknown.body))
        code = self.code("reset", user["email"])
        body = {"email": user["email"], "code": code, "new_password": OTHER}
        wrong = "%08d" % ((int(code) + 1) % 10 ** 8)
        self.assertProblem(self.a.post(A + "reset-password", dict(body, code=wrong), timeout=60), 403,
                           "code_refused")
        self.assertProblem(self.a.post(A + "reset-password", dict(body, email="nobody-here@example.org"),
                                       timeout=60), 403, "code_refused")
        self.assertEqual(self.a.post(A + "reset-password", body, timeout=60).status, 204)
        self.assertEqual(self.a.get(A + "me", token=token).status, 401)
        self.tokens(user["email"], OTHER)
        self.assertEqual(self.a.post(A + "reset-password", body, timeout=60).status, 403)

    def test_an_invitation_is_accepted_once(self):
        email = "invited-%d@example.org" % time.monotonic_ns()
        made = self.a.post(A + "invites", {"email": email}, token=self.admin()).json()
        body = {"email": email, "password": GOOD, "name": "Invited", "invite": made["invite"]}
        self.assertEqual(self.a.post(A + "register", {k: v for k, v in body.items() if k != "invite"}).status, 403)

        def accept(_):
            return self.a.post(A + "register", body, timeout=60).status

        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            got = list(pool.map(accept, range(4)))
        self.assertEqual(got.count(201), 1, got)
        self.assertEqual(self.tokens(email)["user"]["role"], "user")

    def test_another_address(self):
        user, taken = self.new_user(), self.new_user()
        token = self.tokens(user["email"])["access_token"]
        new = "moved-%d@example.org" % time.monotonic_ns()
        ask, confirm = A + "change-email", A + "change-email/confirm"
        self.assertEqual(self.a.post(ask, {"email": taken["email"]}, token=token).status, 202)
        self.assertEqual(self.outbox("email", taken["email"]), [])  # no code, and nothing that says so
        self.assertEqual(self.a.post(ask, {"email": new}, token=token).status, 202)
        self.assertEqual(self.a.get(A + "me", token=token).json()["email"], user["email"])
        code = self.code("email", new)
        wrong = "%08d" % ((int(code) + 1) % 10 ** 8)
        self.assertProblem(self.a.post(confirm, {"code": wrong}, token=token), 403, "code_refused")
        other = self.tokens(taken["email"])["access_token"]
        self.assertProblem(self.a.post(confirm, {"code": code}, token=other), 403, "code_refused")
        r = self.a.post(confirm, {"code": code}, token=token)
        self.assertEqual((r.status, r.json()["email"]), (200, new), r)
        self.assertIsNotNone(r.json()["email_verified_at"])
        self.assertProblem(self.a.post(confirm, {"code": code}, token=token), 403, "code_refused")
        self.tokens(new)
        self.assertIn("address was changed", self.outbox("notice", user["email"])[0]["subject"])
        key = self.a.post(A + "api-keys", {"name": "k", "scopes": ["*"]}, token=token).json()["key"]
        self.assertEqual(self.a.post(ask, {"email": "a@example.org"}, token=key).status, 403)

    def test_leaving(self):
        user = self.new_user()
        token = self.tokens(user["email"])["access_token"]
        self.assertEqual(self.status("DELETE", A + "me", None, token), 204)
        self.assertEqual(self.a.get(A + "me", token=token).status, 401)
        self.assertProblem(self.a.post(A + "login", {"email": user["email"], "password": GOOD}, timeout=60), 401,
                           "login_failed")
        admin = self.a.login(ADMIN_EMAIL, ADMIN_PASSWORD)
        self.assertProblem(self.a.delete(A + "me", token=admin), 409, "last_admin")


class SigningKeys(AuthCase):
    def kids(self):
        return [k["kid"] for k in self.a.get("/.well-known/jwks.json").json()["keys"]]

    def test_a_new_key_is_published_ahead_and_a_leaked_one_goes_at_once(self):
        admin = self.a.login()
        first = self.kids()
        self.assertEqual(len(first), 1)
        self.assertEqual(self.status("POST", A + "signing-keys/rotate", {},
                                     self.tokens(self.new_user()["email"])["access_token"]), 403)
        r = self.a.post(A + "signing-keys/rotate", {}, token=admin)
        self.assertEqual(r.status, 200, r)
        self.assertEqual(len(self.kids()), 2)
        self.assertEqual([k["signs"] for k in r.json()["items"]], [False, True])
        self.assertProblem(self.a.post(A + "signing-keys/rotate", {}, token=admin), 409, "already_waiting")
        self.assertEqual(self.a.get(A + "me", token=admin).status, 200)
        self.assertEqual(self.a.post(A + "signing-keys/rotate", {"now": True}, token=admin).status, 200)
        self.assertEqual(self.a.get(A + "me", token=admin).status, 401)
        self.assertEqual(len(self.kids()), 1)
        self.assertNotIn(self.kids()[0], first)
        self.a.restart()
        self.assertEqual(self.a.get(A + "me", token=self.a.login()).status, 200)
