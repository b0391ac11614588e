# SPDX-License-Identifier: Apache-2.0
"""test_config.py: settings from the machine, the command line and the API; bad ones are named."""
import unittest

from appliance import ADMIN_EMAIL, ADMIN_PASSWORD, Appliance, AppliancePerClass


class Refused(unittest.TestCase):
    """A machine configuration with a mistake is refused whole, by name; the machine still runs."""

    def refused(self, config, *words):
        with Appliance(config=config, wait=False) as a:
            if isinstance(config, str):
                a.config = config
            said = a.console.wait_for(r"(?i)configuration refused: (.+)\n", 30)
            for word in words:
                self.assertIn(word, said[1])
            a.console.wait_for(r"listening", 30)
            self.assertIsNone(a.process.poll())
            self.assertEqual(a.stop(), 0)

    def test_unknown_key(self):
        self.refused({"nonsense.key": 1}, "nonsense.key")

    def test_out_of_range(self):
        self.refused({"auth.lock_after": 10 ** 9}, "auth.lock_after")

    def test_wrong_type(self):
        self.refused({"http.plain": "perhaps"}, "http.plain")

    def test_wrong_word(self):
        self.refused({"log.level": "loud"}, "log.level")

    def test_wrong_address(self):
        self.refused({"net.address": "300.1.2.3/24"}, "net.address")

    def test_broken_json(self):
        class Broken(Appliance):
            def __init__(self):
                super().__init__(wait=False)
                self.config = '{"http.plain": tru'
        with Broken() as a:
            a.console.wait_for(r"(?i)configuration refused", 30)
            a.console.wait_for(r"listening", 30)
            self.assertEqual(a.stop(), 0)


class CommandLine(unittest.TestCase):
    def test_command_line_wins(self):
        with Appliance(config={"log.level": "warn"}, append="config.log.level=debug") as a:
            option = a.get("/api/v1/config/log.level", token=a.login()).json()
            self.assertEqual(option["value"], "debug")
            self.assertIn("command", option["source"])


class Api(AppliancePerClass):
    def test_all_options_are_listed_and_secrets_are_not(self):
        token = self.a.login()
        answer = self.a.get("/api/v1/config", token=token)
        self.assertEqual(answer.status, 200)
        keys = {i["key"]: i for i in answer.json()["items"]}
        for key in ("admin.email", "http.plain", "net.address", "net.gateway", "log.level"):
            self.assertIn(key, keys)
        self.assertIsNone(keys["admin.password"]["value"])
        self.assertNotIn(ADMIN_PASSWORD, answer.body.decode())

    def test_only_administrators(self):
        self.problem(self.a.get("/api/v1/config"), 401)

    def test_a_change_is_checked_kept_and_taken_back(self):
        token = self.a.login()
        self.problem(self.a.put("/api/v1/config", {"log.level": "loud"}, token=token), 422)
        body = self.problem(self.a.put("/api/v1/config", {"no.such.key": 1}, token=token), 422)
        self.assertIn("no.such.key", body["detail"])
        self.assertEqual(self.a.put("/api/v1/config/log.level", {"value": "debug"}, token=token).status, 200)
        self.a.restart()
        token = self.a.login()
        option = self.a.get("/api/v1/config/log.level", token=token).json()
        self.assertEqual((option["value"], option["source"]), ("debug", "stored"))
        self.assertIn(self.a.delete("/api/v1/config/log.level", token=token).status, (200, 204))
        self.assertEqual(self.a.get("/api/v1/config/log.level", token=token).json()["value"], "info")
