# SPDX-License-Identifier: Apache-2.0
"""test_passkeys.py: WebAuthn from outside, with a device of our own (authenticator.py)."""
import concurrent.futures
import copy

from authenticator import Authenticator, b64, unb64
from test_auth import GOOD, AuthCase

A = "/api/v1/auth/"


class Passkeys(AuthCase):
    def device(self, algorithm=-7):
        return Authenticator(f"http://{self.a.host}:{self.a.http_port}", algorithm)

    def enrol(self, algorithm=-7, fmt="none"):
        user = self.new_user()
        token = self.tokens(user["email"])["access_token"]
        device = self.device(algorithm)
        r = self.keep(token, device.create(self.creation(token), fmt))
        self.assertEqual(r.status, 201, r)
        return user, token, device, r.json()

    def creation(self, token):
        r = self.a.post(A + "passkeys/begin", token=token)
        self.assertEqual(r.status, 200, r)
        return r.json()

    def keep(self, token, credential, name="my phone"):
        return self.a.post(A + "passkeys", {"name": name, "credential": credential}, token=token)

    def asked(self, **body):
        r = self.a.post(A + "login/passkey/begin", body)
        self.assertEqual(r.status, 200, r)
        return r.json()

    def sign_in(self, credential, **more):
        return self.a.post(A + "login/passkey", {"credential": credential, **more})

    def test_signs_in_without_a_password(self):
        for algorithm, fmt in ((-7, "none"), (-257, "none"), (-7, "packed"), (-257, "packed")):
            with self.subTest(algorithm=algorithm, fmt=fmt):
                user, _, device, made = self.enrol(algorithm, fmt)
                self.assertEqual(len(made["recovery_codes"]), 10)
                self.assertEqual(made["algorithm"], "ES256" if algorithm == -7 else "RS256")
                options = self.asked()
                self.assertEqual(options["publicKey"]["allowCredentials"], [])
                self.assertEqual(options["publicKey"]["userVerification"], "required")
                r = self.sign_in(device.get(options))
                self.assertEqual(r.status, 200, r)
                self.assertEqual(r.json()["user"]["id"], user["id"])
                me = self.a.get(A + "mfa", token=r.json()["access_token"]).json()
                self.assertTrue(me["shown"])

    def test_is_a_second_factor(self):
        user, _, device, made = self.enrol()
        for step in ("passkey", "recovery code"):
            r = self.a.post(A + "login", {"email": user["email"], "password": GOOD}, timeout=60)
            self.assertProblem(r, 401, "second_factor_required")
            self.assertEqual(r.json()["methods"], ["recovery_code", "passkey"])
            ticket = r.json()["mfa_token"]
            if step == "recovery code":
                r = self.a.post(A + "login/second-factor",
                                {"mfa_token": ticket, "code": made["recovery_codes"][0]})
                self.assertEqual(r.status, 200, r)
                continue
            options = self.asked(mfa_token=ticket)
            self.assertEqual([c["id"] for c in options["publicKey"]["allowCredentials"]], [b64(device.id)])
            shown = device.get(options, flags=device.PRESENT)  # the password came first: presence will do
            self.assertEqual(self.sign_in(shown, mfa_token=ticket).status, 200)
            self.assertEqual(self.sign_in(device.get(options), mfa_token=ticket).status, 401)
        self.assertProblem(self.a.post(A + "login/passkey/begin", {"mfa_token": ticket}), 401, "mfa_token_refused")

    def test_what_does_not_prove_it_is_refused(self):
        user, token, device, _ = self.enrol()
        stranger = self.device()
        stranger.id, stranger.handle = device.id, device.handle  # same name, other key
        cases = {
            "another key": lambda o: stranger.get(o),
            "not verified": lambda o: device.get(o, flags=device.PRESENT),
            "nobody there": lambda o: device.get(o, flags=device.VERIFIED),
            "another site": lambda o: device.get(o, site="evil.example"),
            "another origin": lambda o: device.get(o, origin="https://evil.example"),
            "framed": lambda o: device.get(o, crossOrigin=True),
            "another challenge": lambda o: device.get(o, challenge=b64(bytes(32))),
            "made, not shown": lambda o: device.get(o, type="webauthn.create"),
            "a copy's counter": lambda o: device.get(o, counter=1),
        }
        for name, make in cases.items():
            with self.subTest(name):
                r = self.sign_in(make(self.asked()))
                self.assertIn(r.status, (401, 422), r)
        whole = device.get(self.asked())
        for field in ("clientDataJSON", "authenticatorData", "signature", "userHandle"):
            broken = copy.deepcopy(whole)
            raw = bytearray(unb64(broken["response"][field]))
            raw[-1] ^= 1
            broken["response"][field] = b64(bytes(raw))
            with self.subTest("changed " + field):
                self.assertIn(self.sign_in(broken).status, (401, 422))
        for field in ("clientDataJSON", "authenticatorData", "signature"):
            for value in (None, 7, "", "!", "A" * 20000):
                broken = copy.deepcopy(whole)
                broken["response"][field] = value
                self.assertEqual(self.sign_in(broken).status, 422, (field, value))
        device.counter += 10
        self.assertEqual(self.sign_in(device.get(self.asked())).status, 200)
        wait = self.a.get(A + "me", token=token)
        self.assertEqual(wait.status, 200)

    def test_a_challenge_works_once(self):
        _, _, device, _ = self.enrol()
        shown = device.get(self.asked())
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            got = list(pool.map(lambda _: self.sign_in(shown).status, range(8)))
        self.assertEqual(got.count(200), 1, got)

    def test_making_one_is_as_strict(self):
        user = self.new_user()
        token = self.tokens(user["email"])["access_token"]
        device = self.device()
        for name, change in {"origin": {"origin": "https://evil.example"}, "site": {"site": "evil.example"},
                             "kind": {"type": "webauthn.get"}, "absent": {"flags": 0},
                             "format": {"fmt": "tpm"}}.items():
            with self.subTest(name):
                r = self.keep(token, device.create(self.creation(token), **change))
                self.assertProblem(r, 422, "credential_invalid")
        options = self.creation(token)
        other = self.tokens(self.new_user()["email"])["access_token"]
        self.assertProblem(self.keep(other, device.create(options)), 403, "challenge_refused")
        self.assertEqual(self.keep(token, device.create(options)).status, 201)
        self.assertEqual(self.keep(token, device.create(options)).status, 403)
        self.assertEqual(self.keep(token, device.create(self.creation(token))).status, 409)

    def test_looking_after_them(self):
        user, token, device, made = self.enrol()
        listed = self.a.get(A + "passkeys", token=token).json()["items"]
        self.assertEqual([(p["id"], p["name"]) for p in listed], [(made["id"], "my phone")])
        path = A + "passkeys/" + made["id"]
        self.assertEqual(self.status("PUT", path, {"name": "clé"}, token), 204)
        self.assertEqual(self.a.get(A + "passkeys", token=token).json()["items"][0]["name"], "clé")
        other = self.tokens(self.new_user()["email"])["access_token"]
        self.assertEqual(self.status("DELETE", path, None, other), 404)
        self.assertEqual(self.status("PUT", path, {"name": "mine"}, other), 404)
        self.assertEqual(self.status("DELETE", path, None, token), 204)
        self.assertEqual(self.sign_in(device.get(self.asked())).status, 401)
        self.tokens(user["email"])  # the last factor is gone: the password is enough again
        self.assertEqual(self.a.get(A + "mfa", token=token).json()["recovery_codes"], 0)

    def test_it_outlives_a_restart(self):
        user, _, device, _ = self.enrol()
        self.a.restart()
        device.origin = f"http://{self.a.host}:{self.a.http_port}"
        self.assertEqual(self.sign_in(device.get(self.asked())).status, 200)
        type(self)._admin = None

    def test_cookies(self):
        _, _, device, _ = self.enrol()
        r = self.sign_in(device.get(self.asked()), cookie=True)
        self.assertEqual(r.status, 200, r)
        self.assertIn("__Host-openpolicy=", r.headers["set-cookie"])
        self.assertNotIn("access_token", r.json())
