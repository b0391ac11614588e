# SPDX-License-Identifier: Apache-2.0
"""test_auth.py: identity from outside: setup, login, tokens, sessions, accounts, access, audit."""
import base64
import concurrent.futures
import hashlib
import json
import math
import re
import time
import unittest

from appliance import ADMIN_EMAIL, ADMIN_PASSWORD, Appliance, AppliancePerClass

GOOD = "a quiet river runs north 42"
OTHER = "seven lamps along the canal"


def segment(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def part(token, n):
    text = token.split(".")[n]
    return json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))


class AuthCase(AppliancePerClass):
    """Helpers; each test makes the accounts it needs."""
    counter = 0

    def admin(self):
        if not getattr(type(self), "_admin", None):
            type(self)._admin = self.a.login()
        return self._admin

    def new_user(self, role="user", password=GOOD):
        AuthCase.counter += 1
        email = f"person{AuthCase.counter}-{time.monotonic_ns()}@example.org"
        r = self.a.post("/api/v1/auth/users", {"email": email, "password": password, "name": "A Person",
                                               "role": role}, token=self.admin(), timeout=60)
        self.assertEqual(r.status, 201, r)
        return r.json()

    def tokens(self, email, password=GOOD):
        r = self.a.post("/api/v1/auth/login", {"email": email, "password": password}, timeout=60)
        self.assertEqual(r.status, 200, r)
        return r.json()

    def status(self, method, path, body=None, token=None):
        return self.a.request(method, path, body, token=token, timeout=60).status

    def assertProblem(self, answer, status, code):
        self.assertEqual(answer.status, status, answer)
        self.assertIn("application/problem+json", answer.headers["content-type"])
        self.assertEqual(answer.json()["code"], code)
        self.assertEqual(answer.json()["request_id"], answer.headers["x-request-id"])


class Login(AuthCase):
    def test_login_gives_a_token_that_is_accepted(self):
        r = self.a.post("/api/v1/auth/login", {"email": ADMIN_EMAIL, "password": ADMIN_PASSWORD})
        self.assertEqual(r.status, 200, r)
        body = r.json()
        self.assertEqual(body["token_type"], "Bearer")
        self.assertEqual(body["expires_in"], 600)
        self.assertEqual(body["user"]["email"], ADMIN_EMAIL)
        self.assertEqual(part(body["access_token"], 0)["alg"], "ES256")
        self.assertEqual(part(body["access_token"], 0)["typ"], "at+jwt")
        claims = part(body["access_token"], 1)
        self.assertEqual(claims["exp"] - claims["iat"], 600)
        me = self.a.get("/api/v1/auth/me", token=body["access_token"])
        self.assertEqual(me.status, 200)
        self.assertEqual(me.json()["role"], "admin")
        self.assertNotIn("password", me.body.decode().replace("password_changed_at", ""))

    def test_old_paths_answer_too(self):
        r = self.a.post("/api/auth/login", {"email": ADMIN_EMAIL, "password": ADMIN_PASSWORD})
        self.assertEqual(r.status, 200, r)
        self.assertEqual(self.a.get("/api/auth/me", token=r.json()["access_token"]).status, 200)

    def test_the_address_is_not_case_sensitive(self):
        self.assertTrue(self.a.login(email=" Admin@Example.ORG "))

    def test_unknown_and_wrong_look_the_same(self):
        user = self.new_user()
        wrong = self.a.post("/api/v1/auth/login", {"email": user["email"], "password": OTHER})
        unknown = self.a.post("/api/v1/auth/login", {"email": "nobody@example.org", "password": OTHER})
        odd = self.a.post("/api/v1/auth/login", {"email": "not an address", "password": OTHER})
        for r in (wrong, unknown, odd):
            self.assertProblem(r, 401, "login_failed")
        texts = [{k: v for k, v in r.json().items() if k != "request_id"} for r in (wrong, unknown, odd)]
        self.assertEqual(texts[0], texts[1])
        self.assertEqual(texts[0], texts[2])

    def test_a_disabled_account_looks_like_a_wrong_password(self):
        user = self.new_user()
        self.a.put("/api/v1/auth/users/" + user["id"], {"state": "disabled"}, token=self.admin())
        r = self.a.post("/api/v1/auth/login", {"email": user["email"], "password": GOOD})
        self.assertProblem(r, 401, "login_failed")

    def test_malformed_bodies(self):
        for body, status in ((b"", 400), (b"{", 400), (b"[]", 400), (b'{"email":"a@b.c"}', 422),
                             (b'{"email":7,"password":"x"}', 422),
                             (b'{"email":"a@b.c","password":"x","role":"admin"}', 422),
                             (b'{"email":"a@b.c","email":"b@b.c","password":"x"}', 400),
                             (b'{"email":"\xff@b.c","password":"x"}', 400),
                             (b'{"email":"a\\u0000@b.c","password":"x"}', 400)):
            r = self.a.request("POST", "/api/v1/auth/login", body,
                               headers={"Content-Type": "application/json"})
            self.assertEqual(r.status, status, (body, r))


class Delay(AuthCase):
    def test_failures_cost_time_and_success_resets(self):
        user = self.new_user()
        tries = []
        while len(tries) < 12 and (not tries or tries[-1].status == 401):
            tries.append(self.a.post("/api/v1/auth/login", {"email": user["email"], "password": "wrong"},
                                     timeout=60))
        self.assertEqual([r.status for r in tries[:5]], [401] * 5)
        self.assertProblem(tries[-1], 429, "too_many_tries")  # 1 s, 2 s, 4 s: a slow machine is caught up with
        wait = int(tries[-1].headers["retry-after"])
        self.assertTrue(1 <= wait <= 2 ** (len(tries) - 6) + 1, (wait, len(tries)))
        time.sleep(wait + 0.2)
        self.tokens(user["email"])  # the right password goes in once the time has passed
        again = self.a.post("/api/v1/auth/login", {"email": user["email"], "password": "wrong"})
        self.assertEqual(again.status, 401)

    def test_a_burst_does_not_slip_through(self):
        user = self.new_user()

        def try_one(_):
            return self.status("POST", "/api/v1/auth/login", {"email": user["email"], "password": "wrong"})

        began = time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            got = list(pool.map(try_one, range(24)))
        self.assertTrue(set(got) <= {401, 429, 503}, got)
        doublings = int(math.log2(1 + time.monotonic() - began))  # delays that ran out meanwhile
        self.assertLessEqual(got.count(401), 5 + doublings)


class Lockout(AuthCase):
    config = {"auth.lockout": True}

    def test_five_failures_lock_and_an_admin_unlocks(self):
        user = self.new_user()
        for _ in range(5):
            self.assertEqual(self.status("POST", "/api/v1/auth/login",
                                         {"email": user["email"], "password": "wrong"}), 401)
        self.assertEqual(self.status("POST", "/api/v1/auth/login",
                                     {"email": user["email"], "password": GOOD}), 429)
        self.a.restart()  # a lock outlives a restart, the delay table does not
        type(self)._admin = None
        r = self.a.post("/api/v1/auth/login", {"email": user["email"], "password": GOOD})
        self.assertEqual(r.status, 429)
        self.assertGreater(int(r.headers["retry-after"]), 600)
        one = self.a.get("/api/v1/auth/users/" + user["id"], token=self.admin()).json()
        self.assertTrue(one["locked"])
        self.a.put("/api/v1/auth/users/" + user["id"], {"locked": False}, token=self.admin())
        self.tokens(user["email"])


class Tokens(AuthCase):
    def test_forged_tokens_are_refused(self):
        good = self.a.login()
        h, c, s = good.split(".")
        header, claims = part(good, 0), part(good, 1)
        admin = dict(claims, role="admin", sub=claims["sub"])

        def made(header, claims, signature):
            return ".".join((segment(json.dumps(header).encode()), segment(json.dumps(claims).encode()),
                             signature))

        bad = [h + "." + c + ".", h + "." + c, "." + c + "." + s, h + ".." + s, good + ".", good + "A",
               good[:-4] + "AAAA", s + "." + c + "." + h, "", "x", "a.b.c", "null",
               made(dict(header, alg="none"), admin, ""), made(dict(header, alg="none"), admin, s),
               made(dict(header, alg="None"), admin, ""), made(dict(header, alg="HS256"), admin, s),
               made(dict(header, alg="RS256"), admin, s), made(dict(header, alg="ES384"), admin, s),
               made(dict(header, typ="JWT"), claims, s), made(dict(header, kid="../../key"), claims, s),
               made(dict(header, kid="x' OR '1'='1"), claims, s),
               made(dict(header, jku="http://127.0.0.1/k"), claims, s),
               made(dict(header, crit=["exp"]), claims, s), made(dict(header, b64=False), claims, s),
               made(header, dict(claims, exp=claims["exp"] + 3600), s),
               made(header, dict(claims, exp="never"), s), made(header, dict(claims, exp=1e300), s),
               made(header, dict(claims, iat=-1), s), made(header, dict(claims, aud=["openpolicy"]), s),
               made(header, dict(claims, iss="urn:uuid:0"), s), made(header, admin, segment(bytes(64))),
               made(header, admin, segment(b"\xff" * 64)), "A" * 6000, "." * 2000]
        for token in bad:
            r = self.a.get("/api/v1/auth/me", headers={"Authorization": "Bearer " + token})
            self.assertEqual(r.status, 401, (token[:80], r))
            self.assertIn("Bearer", r.headers["www-authenticate"])
        self.assertEqual(self.a.get("/api/v1/auth/me", token=good).status, 200)

    def test_other_schemes_and_doubled_headers(self):
        good = self.a.login()
        basic = base64.b64encode(f"{ADMIN_EMAIL}:{ADMIN_PASSWORD}".encode()).decode()
        for value in ("Basic " + basic, "bearer", "Token " + good, good):
            r = self.a.get("/api/v1/auth/me", headers={"Authorization": value})
            self.assertEqual(r.status, 401, value)
        raw, _ = self.a.raw((f"GET /api/v1/auth/me HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {good}\r\n"
                             f"Authorization: Bearer {good}\r\nConnection: close\r\n\r\n").encode())
        self.assertIn(b" 40", raw.split(b"\r\n")[0])
        self.assertEqual(self.a.get("/api/v1/auth/me", headers={"Authorization": "bEARER  " + good}).status,
                         200)

    def test_a_refresh_token_is_no_access_token(self):
        t = self.tokens(self.new_user()["email"])
        self.assertEqual(self.a.get("/api/v1/auth/me", token=t["refresh_token"]).status, 401)
        r = self.a.post("/api/v1/auth/refresh", {"refresh_token": t["access_token"]})
        self.assertEqual(r.status, 401)

    def test_the_published_key_has_the_token_s_name(self):
        token = self.a.login()
        keys = self.a.get("/.well-known/jwks.json").json()["keys"]
        key = {k: keys[0][k] for k in ("crv", "kty", "x", "y")}
        thumbprint = segment(hashlib.sha256(json.dumps(key, separators=(",", ":"),
                                                       sort_keys=True).encode()).digest())
        self.assertEqual(keys[0]["kid"], part(token, 0)["kid"])
        self.assertEqual(keys[0]["kid"], thumbprint)
        self.assertNotIn("d", keys[0])


class Sessions(AuthCase):
    def test_logout_ends_the_session_at_once_and_for_good(self):
        user = self.new_user()
        one, two = self.tokens(user["email"]), self.tokens(user["email"])
        self.assertEqual(self.a.get("/api/v1/auth/me", token=one["access_token"]).status, 200)
        self.assertEqual(self.a.post("/api/v1/auth/logout", token=one["access_token"]).status, 204)
        self.assertEqual(self.a.get("/api/v1/auth/me", token=one["access_token"]).status, 401)
        self.assertEqual(self.a.post("/api/v1/auth/refresh",
                                     {"refresh_token": one["refresh_token"]}).status, 401)
        self.assertEqual(self.a.get("/api/v1/auth/me", token=two["access_token"]).status, 200)
        self.a.restart()
        type(self)._admin = None
        self.assertEqual(self.a.get("/api/v1/auth/me", token=one["access_token"]).status, 401)
        self.assertEqual(self.a.get("/api/v1/auth/me", token=two["access_token"]).status, 200)

    def test_logout_all_ends_every_session(self):
        user = self.new_user()
        several = [self.tokens(user["email"]) for _ in range(3)]
        self.assertEqual(self.a.post("/api/v1/auth/logout-all", token=several[0]["access_token"]).status,
                         204)
        for t in several:
            self.assertEqual(self.a.get("/api/v1/auth/me", token=t["access_token"]).status, 401)

    def test_refresh_rotates_and_a_repeated_one_gets_the_same(self):
        t = self.tokens(self.new_user()["email"])
        first = self.a.post("/api/v1/auth/refresh", {"refresh_token": t["refresh_token"]})
        self.assertEqual(first.status, 200, first)
        again = self.a.post("/api/v1/auth/refresh", {"refresh_token": t["refresh_token"]})
        self.assertEqual(again.status, 200, again)
        self.assertEqual(first.json()["refresh_token"], again.json()["refresh_token"])
        self.assertNotEqual(first.json()["refresh_token"], t["refresh_token"])
        self.assertEqual(self.a.get("/api/v1/auth/me", token=again.json()["access_token"]).status, 200)

    def test_a_refresh_token_used_twice_ends_the_family(self):
        user = self.new_user()
        t, bystander = self.tokens(user["email"]), self.tokens(user["email"])
        second = self.a.post("/api/v1/auth/refresh", {"refresh_token": t["refresh_token"]}).json()
        third = self.a.post("/api/v1/auth/refresh", {"refresh_token": second["refresh_token"]}).json()
        r = self.a.post("/api/v1/auth/refresh", {"refresh_token": t["refresh_token"]})
        self.assertEqual(r.status, 401)
        self.assertEqual(self.a.get("/api/v1/auth/me", token=third["access_token"]).status, 401)
        self.assertEqual(self.a.post("/api/v1/auth/refresh",
                                     {"refresh_token": third["refresh_token"]}).status, 401)
        self.assertEqual(self.a.get("/api/v1/auth/me", token=bystander["access_token"]).status, 200)
        rows = self.a.get("/api/v1/auth/audit-logs?action=session.reuse", token=self.admin()).json()
        self.assertGreaterEqual(rows["total"], 1)

    def test_parallel_refreshes_leave_one_family_alive(self):
        t = self.tokens(self.new_user()["email"])

        def refresh(_):
            return self.a.post("/api/v1/auth/refresh", {"refresh_token": t["refresh_token"]}, timeout=60)

        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            got = list(pool.map(refresh, range(8)))
        good = [r.json()["refresh_token"] for r in got if r.status == 200]
        self.assertGreaterEqual(len(good), 1)
        self.assertEqual(len(set(good)), 1)
        self.assertEqual(self.a.post("/api/v1/auth/refresh", {"refresh_token": good[0]}).status, 200)

    def test_bad_refresh_tokens(self):
        t = self.tokens(self.new_user()["email"])["refresh_token"]
        for bad in ("", "x", "opr_", t[:-1], t + "A", t[:-2] + "!!", "opr_" + "A" * 75, t.upper()):
            r = self.a.post("/api/v1/auth/refresh", {"refresh_token": bad})
            self.assertIn(r.status, (401, 422), bad)
        self.assertEqual(self.a.post("/api/v1/auth/refresh", {"refresh_token": t}).status, 200)


class Accounts(AuthCase):
    def test_weak_passwords_name_the_rule(self):
        for password, words in (("short", "at least 12"), ("aaaaaaaaaaaaaaaa", "repeats"),
                                ("abcdefghijklmn", "sequence"), ("Password12345!", "common"),
                                ("me@example.org-me", "e-mail address"), ("x" * 257, "256 bytes")):
            r = self.a.post("/api/v1/auth/users", {"email": "me@example.org", "name": "Me",
                                                   "password": password}, token=self.admin())
            self.assertProblem(r, 422, "weak_password")
            self.assertIn(words, r.json()["detail"])

    def test_bad_addresses(self):
        for email in ("", "x", "@", "a@", "@b", "a b@c.d", "a@b@c.d", "a@b..c", ".a@b.c", "a@-b.c",
                      "\u00e9@b.c", "a" * 65 + "@b.c", "a@" + "b" * 300, "a@b.c\n"):
            r = self.a.post("/api/v1/auth/users", {"email": email, "name": "X", "password": GOOD},
                            token=self.admin(), timeout=60)
            if email == "a@b.c\n":
                self.assertEqual(r.status, 201)  # blanks around it are trimmed
            else:
                self.assertEqual(r.status, 422, (email, r))

    def test_an_address_is_taken_once(self):
        user = self.new_user()
        r = self.a.post("/api/v1/auth/users", {"email": user["email"].upper(), "name": "X",
                                               "password": GOOD}, token=self.admin(), timeout=60)
        self.assertProblem(r, 409, "email_taken")

    def test_me_changes_the_name_and_nothing_else(self):
        t = self.tokens(self.new_user()["email"])["access_token"]
        r = self.a.put("/api/v1/auth/me", {"name": "Zoé Côté-Lévesque"}, token=t)
        self.assertEqual(r.status, 200)
        self.assertEqual(self.a.get("/api/v1/auth/me", token=t).json()["name"], "Zoé Côté-Lévesque")
        for body in ({"role": "admin"}, {"name": "X", "role": "admin"}, {"name": "X", "state": "active"},
                     {"name": ""}, {"name": 7}, {}):
            self.assertEqual(self.status("PUT", "/api/v1/auth/me", body, t), 422, body)
        self.assertEqual(self.a.get("/api/v1/auth/me", token=t).json()["role"], "user")

    def test_change_password_ends_other_sessions(self):
        user = self.new_user()
        mine, other = self.tokens(user["email"]), self.tokens(user["email"])
        bad = self.a.post("/api/v1/auth/change-password",
                          {"current_password": "wrong", "new_password": OTHER}, token=mine["access_token"])
        self.assertProblem(bad, 403, "wrong_password")
        weak = self.a.post("/api/v1/auth/change-password",
                           {"current_password": GOOD, "new_password": "short"}, token=mine["access_token"])
        self.assertProblem(weak, 422, "weak_password")
        r = self.a.post("/api/v1/auth/change-password",
                        {"current_password": GOOD, "new_password": OTHER}, token=mine["access_token"],
                        timeout=60)
        self.assertEqual(r.status, 204, r)
        self.assertEqual(self.a.get("/api/v1/auth/me", token=mine["access_token"]).status, 200)
        self.assertEqual(self.a.get("/api/v1/auth/me", token=other["access_token"]).status, 401)
        self.assertEqual(self.status("POST", "/api/v1/auth/login",
                                     {"email": user["email"], "password": GOOD}), 401)
        self.tokens(user["email"], OTHER)

    def test_disable_demote_and_delete_take_effect_at_once(self):
        user = self.new_user(role="admin")
        t = self.tokens(user["email"])
        path = "/api/v1/auth/users/" + user["id"]
        self.assertEqual(self.a.get("/api/v1/auth/users", token=t["access_token"]).status, 200)
        self.a.put(path, {"role": "user"}, token=self.admin())
        self.assertEqual(self.a.get("/api/v1/auth/users", token=t["access_token"]).status, 401)
        again = self.a.post("/api/v1/auth/refresh", {"refresh_token": t["refresh_token"]}).json()
        self.assertEqual(self.a.get("/api/v1/auth/users", token=again["access_token"]).status, 403)
        self.a.put(path, {"state": "disabled"}, token=self.admin())
        self.assertEqual(self.a.get("/api/v1/auth/me", token=again["access_token"]).status, 401)
        self.assertEqual(self.a.post("/api/v1/auth/refresh",
                                     {"refresh_token": again["refresh_token"]}).status, 401)
        self.a.put(path, {"state": "active"}, token=self.admin())
        t = self.tokens(user["email"])
        self.assertEqual(self.a.delete(path, token=self.admin()).status, 204)
        self.assertEqual(self.a.get("/api/v1/auth/me", token=t["access_token"]).status, 401)
        self.assertEqual(self.a.get(path, token=self.admin()).status, 404)

    def test_the_last_admin_stays(self):
        me = self.a.get("/api/v1/auth/me", token=self.admin()).json()
        path = "/api/v1/auth/users/" + me["id"]
        listed = self.a.get("/api/v1/auth/users?role=admin&state=active&limit=100", token=self.admin())
        for other in listed.json()["items"]:
            if other["id"] != me["id"]:
                self.a.delete("/api/v1/auth/users/" + other["id"], token=self.admin())
        self.assertProblem(self.a.delete(path, token=self.admin()), 409, "last_admin")
        self.assertProblem(self.a.put(path, {"role": "user"}, token=self.admin()), 409, "last_admin")
        self.assertProblem(self.a.put(path, {"state": "disabled"}, token=self.admin()), 409, "last_admin")
        self.assertEqual(self.a.get("/api/v1/auth/me", token=self.admin()).status, 200)

    def test_lists_filter_page_and_count(self):
        for _ in range(3):
            self.new_user()
        r = self.a.get("/api/v1/auth/users?limit=2&role=user", token=self.admin()).json()
        self.assertEqual(len(r["items"]), 2)
        self.assertGreaterEqual(r["total"], 3)
        following = self.a.get(r["next"], token=self.admin()).json()
        self.assertNotEqual(r["items"][0]["id"], following["items"][0]["id"])
        self.assertTrue(all(u["role"] == "user" for u in r["items"] + following["items"]))
        one = self.a.get("/api/v1/auth/users?q=ADMIN@EXAMPLE", token=self.admin()).json()
        self.assertEqual(one["total"], 1)
        none = self.a.get("/api/v1/auth/users?q=%27%20OR%201=1--", token=self.admin()).json()
        self.assertEqual(none["total"], 0)
        for bad in ("limit=0", "limit=101", "limit=x", "offset=-1", "unknown=1"):
            self.assertEqual(self.a.get("/api/v1/auth/users?" + bad, token=self.admin()).status, 400, bad)

    def test_etags_guard_accounts(self):
        user = self.new_user()
        path = "/api/v1/auth/users/" + user["id"]
        tag = self.a.get(path, token=self.admin()).headers["etag"]
        self.assertEqual(self.a.get(path, token=self.admin(), headers={"If-None-Match": tag}).status, 304)
        self.assertEqual(self.a.put(path, {"name": "One"}, token=self.admin(),
                                    headers={"If-Match": tag}).status, 200)
        self.assertEqual(self.a.put(path, {"name": "Two"}, token=self.admin(),
                                    headers={"If-Match": tag}).status, 412)


class Registration(AuthCase):
    config = {"auth.registration": "open"}

    def test_registering_makes_a_user_whatever_is_asked_for(self):
        r = self.a.post("/api/v1/auth/register", {"email": "New@Example.org", "password": GOOD,
                                                  "name": "New", "role": "admin"}, timeout=60)
        self.assertEqual(r.status, 201, r)
        self.assertEqual(r.json()["role"], "user")
        t = self.tokens("new@example.org")["access_token"]
        self.assertEqual(self.a.get("/api/v1/auth/users", token=t).status, 403)
        again = self.a.post("/api/v1/auth/register", {"email": "new@example.org", "password": GOOD,
                                                      "name": "New"}, timeout=60)
        self.assertProblem(again, 409, "email_taken")


class RegistrationClosed(AuthCase):
    def test_closed_by_default(self):
        r = self.a.post("/api/v1/auth/register", {"email": "n@example.org", "password": GOOD, "name": "N"})
        self.assertProblem(r, 403, "registration_closed")


class Access(AuthCase):
    def test_every_route_for_guest_user_and_admin(self):
        """The API document says who may; the appliance must agree, for each route."""
        document = self.a.get("/api/openapi.json").json()
        user = self.tokens(self.new_user()["email"])["access_token"]
        never = {"/api/v1/system/restart", "/api/v1/system/poweroff", "/api/v1/auth/logout",
                 "/api/auth/logout", "/api/v1/auth/logout-all"}
        seen = 0
        for path, methods in document["paths"].items():
            for method, route in methods.items():
                access = route.get("x-access")
                if access is None:
                    continue
                seen += 1
                real = re.sub(r"\{[^}]*\}", "0190a0b0-c0d0-7000-8000-000000000001", path)
                guest = self.a.request(method.upper(), real, timeout=60).status
                if access == "public":
                    self.assertNotEqual(guest, 403 if "register" not in path else 0, (method, path))
                else:
                    self.assertEqual(guest, 401, (method, path))
                if path in never or (method, path) == ("delete", "/api/v1/auth/me"):
                    continue
                as_user = self.a.request(method.upper(), real, token=user, timeout=60).status
                if access == "admin":
                    self.assertEqual(as_user, 403, (method, path))
                elif access == "user":
                    self.assertNotEqual(as_user, 401, (method, path))
        self.assertGreater(seen, 40)

    def test_a_refusal_says_why_and_is_recorded(self):
        user = self.new_user()
        t = self.tokens(user["email"])["access_token"]
        r = self.a.get("/api/v1/auth/users", token=t)
        self.assertProblem(r, 403, "access_denied")
        self.assertIn("only an administrator", r.json()["detail"])
        rows = self.a.get("/api/v1/auth/audit-logs?action=access.denied&actor=" + user["id"],
                          token=self.admin()).json()
        self.assertEqual(rows["total"], 1)
        self.assertEqual(rows["items"][0]["detail"]["permission"], "auth:user:list")


class Keys(AuthCase):
    def make(self, token, **body):
        return self.a.post("/api/v1/auth/api-keys", dict({"name": "k", "scopes": ["*"]}, **body), token=token)

    def me(self, key):
        return self.a.get("/api/v1/auth/me", headers={"X-Api-Key": key}).status

    def test_a_key_works_until_it_is_removed_and_stays_removed(self):
        user = self.new_user()
        token = self.tokens(user["email"])["access_token"]
        made = self.make(token, scopes=["auth:self:read"]).json()
        self.assertRegex(made["key"], r"^opk_[A-Za-z0-9_-]{43}$")
        self.assertEqual(self.me(made["key"]), 200)
        self.assertEqual(self.a.get("/api/v1/auth/me", token=made["key"]).status, 200)
        self.assertEqual(self.status("PUT", "/api/v1/auth/me", {"name": "X"}, made["key"]), 403)
        self.assertEqual(self.status("POST", "/api/v1/policies", {"title": "A title long enough"}, made["key"]),
                         403)
        self.assertNotIn(made["key"], self.a.get("/api/v1/auth/api-keys", token=token).body.decode())
        self.assertNotIn(made["key"], self.a.get("/api/v1/auth/audit-logs/export",
                                                 token=self.admin()).body.decode())
        other = self.make(token).json()
        self.assertEqual(self.status("DELETE", "/api/v1/auth/api-keys/" + made["id"], None, token), 204)
        self.assertEqual((self.me(made["key"]), self.me(other["key"])), (401, 200))
        self.a.restart()
        self.assertEqual((self.me(made["key"]), self.me(other["key"])), (401, 200))

    def test_fields(self):
        token = self.admin()
        for body, code in (({"scopes": []}, "scopes_invalid"), ({"scopes": ["a b"]}, "scopes_invalid"),
                           ({"name": ""}, "member_length"), ({"name": 1}, "member_type"),
                           ({"expires_in": -1}, "member_range"), ({"role": "admin"}, "member_unknown")):
            self.assertProblem(self.make(token, **body), 422, code)


class Cookies(AuthCase):
    def browse(self, method, path, cookie, origin=None, body=None):
        headers = {"Cookie": cookie, "Host": "appliance.test"}
        if origin:
            headers["Origin"] = origin
        return self.a.request(method, path, body, headers=headers)

    def sign_in(self, user):
        r = self.a.post("/api/v1/auth/login", {"email": user["email"], "password": GOOD, "cookie": True},
                        timeout=60)
        self.assertEqual(r.status, 200, r)
        self.assertNotIn("access_token", r.json())
        return r.headers["set-cookie"]

    def test_a_browser_signs_in_and_other_sites_get_nowhere(self):
        line = self.sign_in(self.new_user())
        self.assertRegex(line, r"^__Host-openpolicy=ops_[A-Za-z0-9_-]{43}; Path=/; Secure; HttpOnly; SameSite=Lax$")
        cookie = line.split(";")[0]
        own, me = "https://appliance.test", "/api/v1/auth/me"
        self.assertEqual(self.browse("GET", me, cookie).status, 200)
        for origin in (None, "null", "https://evil.test", "https://appliance.test.evil.test"):
            self.assertProblem(self.browse("PUT", me, cookie, origin, {"name": "M"}), 403, "cross_site")
        self.assertEqual(self.browse("PUT", me, cookie, own, {"name": "Me"}).status, 200)
        self.a.restart()
        self.assertEqual(self.browse("GET", me, cookie).status, 200)
        r = self.browse("POST", "/api/v1/auth/logout", cookie, own)
        self.assertEqual(r.status, 204)
        self.assertIn("Max-Age=0", r.headers["set-cookie"])
        self.assertEqual(self.browse("GET", me, cookie).status, 401)

    def test_the_list_of_sessions_ends_them(self):
        user = self.new_user()
        cookie = self.sign_in(user).split(";")[0]
        token = self.tokens(user["email"])["access_token"]
        got = self.a.get("/api/v1/auth/sessions", token=token).json()
        self.assertEqual(got["total"], 2)
        self.assertEqual([s["current"] for s in got["items"]].count(True), 1)
        for s in got["items"]:
            if s["kind"] == "cookie":
                self.assertEqual(self.status("DELETE", "/api/v1/auth/sessions/" + s["id"], None, self.admin()),
                                 404)
                self.assertEqual(self.status("DELETE", "/api/v1/auth/sessions/" + s["id"], None, token), 204)
        self.assertEqual(self.browse("GET", "/api/v1/auth/me", cookie).status, 401)
        self.assertEqual(self.a.get("/api/v1/auth/me", token=token).status, 200)


class Audit(AuthCase):
    def test_what_happens_is_recorded_and_the_chain_holds(self):
        user = self.new_user()
        self.a.post("/api/v1/auth/login", {"email": user["email"], "password": "wrong"})
        t = self.tokens(user["email"])["access_token"]
        self.a.post("/api/v1/auth/logout", token=t)
        got = self.a.get("/api/v1/auth/audit-logs?limit=100", token=self.admin()).json()
        actions = [(row["action"], row["result"]) for row in got["items"]]
        for wanted in (("user.create", "ok"), ("user.login", "failed"), ("user.login", "ok"),
                       ("user.logout", "ok")):
            self.assertIn(wanted, actions)
        self.assertEqual(got["items"], sorted(got["items"], key=lambda row: -row["id"]))
        row = next(r for r in got["items"] if r["action"] == "user.login" and r["result"] == "ok")
        self.assertTrue(row["address"] and row["request_id"] and row["at"] and row["actor_id"])
        text = json.dumps(got)
        self.assertNotIn(GOOD, text)
        self.assertNotIn(ADMIN_PASSWORD, text)
        verdict = self.a.get("/api/v1/auth/audit-logs/verify", token=self.admin()).json()
        self.assertTrue(verdict["intact"])
        self.assertGreaterEqual(verdict["rows"], got["total"])

    def test_the_export_can_be_verified_by_anyone(self):
        r = self.a.get("/api/v1/auth/audit-logs/export", token=self.admin())
        self.assertEqual(r.status, 200)
        rows = [json.loads(line) for line in r.body.decode().splitlines()]
        previous = bytes(48)
        for n, row in enumerate(rows):
            self.assertEqual(row["id"], n + 1)
            detail = "" if row["detail"] is None else None
            fields = [str(row["id"]), str(row["at_ns"]), row["actor_id"], row["actor"], row["role"],
                      row["action"], row["resource"], row["result"], row["address"], row["client"],
                      row["request_id"]]
            raw = r.body.decode().splitlines()[n]
            if detail is None:
                detail = re.search(r'"detail":(\{.*\}),"hash"', raw).group(1)
            digest = hashlib.sha384(previous)
            for field in fields + [detail]:
                data = field.encode()
                digest.update(b"%d:%s," % (len(data), data))
            previous = digest.digest()
            self.assertEqual(previous.hex(), row["hash"], row)

    def test_filters(self):
        token = self.admin()
        only = self.a.get("/api/v1/auth/audit-logs?action=user.login&result=ok", token=token).json()
        self.assertTrue(all(r["action"] == "user.login" and r["result"] == "ok" for r in only["items"]))
        self.assertEqual(self.a.get("/api/v1/auth/audit-logs?at__gte=2100-01-01", token=token).json()["total"],
                         0)
        self.assertEqual(self.a.get("/api/v1/auth/audit-logs?at__gte=yesterday", token=token).status, 400)
        mine = self.a.get("/api/v1/auth/audit-logs?actor=" + ADMIN_EMAIL, token=token).json()
        self.assertTrue(mine["total"] > 0 and all(r["actor"] == ADMIN_EMAIL for r in mine["items"]))

    def test_nobody_edits_the_log(self):
        for method in ("PUT", "DELETE", "PATCH", "POST"):
            self.assertEqual(self.status(method, "/api/v1/auth/audit-logs", {}, self.admin()), 405)


class Setup(unittest.TestCase):
    def code(self, a):
        return a.console.wait_for(r"setup code: ([0-9A-Z]{4}-[0-9A-Z]{4}-[0-9A-Z]{4})", 30).group(1)

    def test_the_code_makes_one_admin_once(self):
        with Appliance(config={"admin.email": None, "admin.password": None}) as a:
            code = self.code(a)
            self.assertTrue(a.get("/api/v1/setup").json()["required"])
            body = {"code": code, "email": "first@example.org", "password": GOOD, "name": "First"}
            wrong = "0" if code[0] != "0" else "1"
            self.assertEqual(a.post("/api/v1/setup", dict(body, code=wrong + code[1:])).status, 403)
            self.assertEqual(a.post("/api/v1/setup", dict(body, password="short")).status, 422)

            def finish(n):
                return a.post("/api/v1/setup", dict(body, email=f"first{n}@example.org"), timeout=60).status

            with concurrent.futures.ThreadPoolExecutor(4) as pool:
                got = list(pool.map(finish, range(4)))
            self.assertEqual(got.count(201), 1, got)
            self.assertFalse(a.get("/api/v1/setup").json()["required"])
            self.assertEqual(a.post("/api/v1/setup", body).status, 409)
            a.restart()
            self.assertFalse(a.get("/api/v1/setup").json()["required"])

    def test_ten_wrong_codes_make_another(self):
        with Appliance(config={"admin.email": None, "admin.password": None}) as a:
            first = self.code(a)
            for n in range(10):
                r = a.post("/api/v1/setup", {"code": "000000000000", "email": "x@example.org",
                                             "password": GOOD})
                self.assertEqual(r.status, 403, (n, r))
            a.console.wait_for(r"(?s)setup code: .*setup code: ", 10)
            second = re.findall(r"setup code: ([0-9A-Z-]{14})", a.console.text)[-1]
            self.assertNotEqual(first, second)
            body = {"code": first, "email": "x@example.org", "password": GOOD}
            self.assertEqual(a.post("/api/v1/setup", body).status, 403)
            typed = second.replace("-", "").lower()
            self.assertEqual(a.post("/api/v1/setup", dict(body, code=typed), timeout=60).status, 201)

    def test_a_changed_configured_password_is_taken_over(self):
        with Appliance() as a:
            token = a.login()
            a.post("/api/v1/auth/change-password",
                   {"current_password": ADMIN_PASSWORD, "new_password": GOOD}, token=token, timeout=60)
            a.restart()  # the same configuration: the person's own password stays
            time.sleep(4)
            a.login(password=GOOD)
            a.config["admin.password"] = OTHER
            a.restart()
            deadline = time.monotonic() + 30
            while a.post("/api/v1/auth/login", {"email": ADMIN_EMAIL, "password": OTHER},
                         timeout=60).status != 200:
                self.assertLess(time.monotonic(), deadline)
                time.sleep(1.5)

    def test_no_password_reaches_console_or_log(self):
        with Appliance(config={"log.level": "debug"}) as a:
            token = a.login()
            a.post("/api/v1/auth/login", {"email": ADMIN_EMAIL, "password": "secret-wrong-one"})
            log = a.get("/api/v1/logs?limit=100", token=token).body.decode()
            for secret in (ADMIN_PASSWORD, "secret-wrong-one", token):
                self.assertNotIn(secret, log)
                self.assertNotIn(secret, a.console.text)


class Small(unittest.TestCase):
    def test_logins_in_the_smallest_machine(self):
        with Appliance(memory=64) as a:
            def one(_):
                return a.post("/api/v1/auth/login", {"email": ADMIN_EMAIL, "password": ADMIN_PASSWORD},
                              timeout=120).status

            with concurrent.futures.ThreadPoolExecutor(6) as pool:
                got = list(pool.map(one, range(12)))
            self.assertTrue(set(got) <= {200, 429, 503}, got)
            self.assertIn(200, got)
            self.assertEqual(a.get("/healthz").status, 200)
