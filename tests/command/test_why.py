# SPDX-License-Identifier: Apache-2.0
"""test_why.py: opctl policy why and replay: decisions told to a person, one or many."""
import json

from run import Command

POLICY = """package app

default allow := false

# METADATA
# title: Owners may write
allow if {
	input.action == "write"
	input.user == data.owner
}

# METADATA
# title: Anyone may read
allow if input.action == "read"
"""


class Why(Command):
    def setUp(self):
        super().setUp()
        self.write("p/app.rego", POLICY)
        self.write("p/data.json", '{"owner": "ann"}')

    def ask(self, given, status=0, *more):
        self.write("input.json", json.dumps(given))
        return self.run_verb("why", "-d", "p", "-i", "input.json", *more, "data.app.allow", status=status)

    def test_sentences_and_status(self):
        self.assertEqual(self.ask({"action": "read"}),
                         'Allowed by "Anyone may read" (p/app.rego:14) because `input.action == "read"`: '
                         'input.action is "read".\n')
        no = self.ask({"action": "write", "user": "bea"}, 1)
        self.assertEqual(no.splitlines(), [
            "Denied: no rule for data.app.allow held, so its default stands (p/app.rego:3).",
            'The nearest was "Owners may write" (p/app.rego:7): 1 of 2 conditions held, but not '
            '`input.user == data.owner` (line 9): input.user is "bea" and data.owner is "ann".'])

    def test_the_report_as_json(self):
        report = json.loads(self.ask({"action": "write", "user": "bea"}, 1, "-f", "json"))
        self.assertEqual(report["outcome"], "denied")
        self.assertEqual(report["by"]["title"], "Owners may write")
        self.assertEqual(report["nearest"]["condition"]["row"], 9)
        self.assertEqual(report["complete"], True)
        self.assertEqual(len(json.loads(self.ask({}, 1, "-f", "json", "--sentences", "1"))["sentences"]), 1)

    def test_errors_and_usage(self):
        self.run_verb("why", "-d", "p", status=2)
        self.run_verb("why", "-d", "p", "-f", "xml", "data.app.allow", status=2)
        self.run_verb("why", "-d", "p", "--sentences", "0", "data.app.allow", status=2)
        self.write("bad.rego", "package x\n\np if y\n")
        self.run_verb("why", "-d", "bad.rego", "data.x.p", status=2)
        self.assertIn("rego_unsafe_var_error", self.stderr)
        self.write("clash.rego", "package x\n\np := 1\n\np := 2\n")
        self.run_verb("why", "-d", "clash.rego", "data.x.p", status=2)
        self.assertIn("eval_conflict_error", self.stderr)


class Replay(Command):
    def setUp(self):
        super().setUp()
        self.write("live/app.rego", POLICY)
        self.write("live/data.json", '{"owner": "ann"}')
        self.write("next/app.rego", POLICY.replace('allow if input.action == "read"',
                                                   'allow if { input.action == "read"; input.user != "eve" }'))
        self.write("next/data.json", '{"owner": "ann"}')
        records = [self.record(n, given, said) for n, (given, said) in enumerate([
            ({"action": "read", "user": "ann"}, True), ({"action": "read", "user": "eve"}, True),
            ({"action": "write", "user": "ann"}, True), ({"action": "write", "user": "eve"}, False),
            ({"action": "read", "user": "eve", "n": 2}, True)])]
        self.write("log.jsonl", "\n".join(map(json.dumps, records)) + "\nnot json\n{\"no\": \"path\"}\n")
        self.write("log.json", json.dumps(records))

    def record(self, n, given, said):
        return {"decision_id": f"id-{n}", "path": "app/allow", "input": given, "result": said,
                "timestamp": "2026-01-01T00:00:00Z"}

    def test_what_changed_by_rule_with_both_explanations(self):
        got = self.run_json("replay", "log.jsonl", "-d", "next", "--base", "live", "-f", "json")
        self.assertEqual((got["asked"], got["changed"], got["failed"], got["skipped"]), (5, 2, 0, 2))
        self.assertEqual(len(got["by_rule"]), 1)
        self.assertEqual(got["by_rule"][0]["title"], "Anyone may read")
        self.assertEqual((got["by_rule"][0]["count"], got["by_rule"][0]["decision_ids"]), (2, ["id-1", "id-4"]))
        change = got["changes"][0]
        self.assertEqual((change["before"], change["after"], change["input"]["user"]), (True, False, "eve"))
        self.assertIn("Allowed by", change["explanations"]["before"]["sentences"][0])
        self.assertIn('`input.user != "eve"`', " ".join(change["explanations"]["after"]["sentences"]))

    def test_text_status_arrays_and_limits(self):
        text = self.run_verb("replay", "log.json", "-d", "next", "--base", "live", "--fail", status=1)
        self.assertTrue(text.startswith("5 asked, 2 changed, 0 failed, 0 skipped\n\"Anyone may read\" "), text)
        self.assertIn("  id-4 app/allow: true -> false\n    before: Allowed by", text)
        self.assertEqual(self.run_verb("replay", "log.jsonl", "-d", "live", "--fail").splitlines(),
                         ["5 asked, 0 changed, 0 failed, 2 skipped"])
        self.assertTrue(self.run_verb("replay", "log.json", "-d", "next", "--limit", "1").startswith("1 asked, 0 changed"))
        alone = self.run_json("replay", "log.json", "-d", "next", "-f", "json")
        self.assertEqual(list(alone["changes"][0]["explanations"]), ["after"])

    def test_hostile_records(self):
        self.write("bad.jsonl", "\n".join([
            "[" * 2000, '{"path": 7}', '{"path": "a/' + "b/" * 500 + '"}', "{", "null", '"x"', '{"path": "app/allow"}',
            '{"path": "\\u0000/\\"];x", "input": {"a": 1e999}}', '{"path": "", "timestamp": "yesterday"}']))
        got = self.run_json("replay", "bad.jsonl", "-d", "next", "-f", "json")
        self.assertGreaterEqual(got["skipped"], 5)
        self.run_verb("replay", "missing.jsonl", "-d", "next", status=2)
        self.run_verb("replay", "bad.jsonl", status=2)


ROLES = """package app

default allow := false

# METADATA
# title: a role of theirs grants it
allow if {
	some role in data.users[input.user]
	some grant in data.roles[role]
	grant == input.action
}

allow if input.user == "root"

allow if {
	input.emergency
	count(input.signatures) > 2
}
"""


class Advise(Command):
    def setUp(self):
        super().setUp()
        self.write("p/app.rego", ROLES)
        self.write("p/data.json", json.dumps({
            "roles": {"reader": ["read", "list"], "writer": ["read", "write"], "ghost": ["haunt"]},
            "users": {"ann": ["reader"], "bea": ["writer", "reader"], "cyn": ["ghost"]}}))
        records = []
        for n in range(40):
            user = ("ann", "bea", "root", "eve")[n % 4]
            action = ("read", "write", "delete", "read")[n % 4]
            records.append({"decision_id": f"id-{n}", "path": "app/allow", "timestamp": f"2026-01-{1 + n % 28:02}T00:00:00Z",
                            "input": {"user": user, "action": action}, "result": user != "eve"})
        self.write("log.jsonl", "\n".join(map(json.dumps, records)) + "\nnonsense\n")

    def advice(self, *more):
        report = self.run_json("advise", "-d", "p", "-f", "json", *more, "log.jsonl")
        self.assertEqual((report["asked"], report["complete"]), (40, True))
        self.assertEqual((report["from"], report["to"]), ("2026-01-01T00:00:00Z", "2026-01-28T00:00:00Z"))
        by_kind = {}
        for one in report["advice"]:
            by_kind.setdefault(one["kind"], []).append(one)
        return by_kind

    def test_rules_that_never_held(self):
        rules = self.advice()["rule_never_held"]
        self.assertEqual([r["edit"] for r in rules], [{"file": "p/app.rego", "delete_lines": [15, 18]}])
        self.assertEqual(rules[0]["evidence"]["held"], 0)
        self.assertIn("data.app.allow (p/app.rego:15)", rules[0]["what"])

    def test_entries_nobody_needed(self):
        entries = self.advice()["entry_never_needed"]
        paths = {e["edit"]["patch"][0]["path"]: e for e in entries}
        self.assertEqual(set(paths), {"/roles/ghost", "/roles/reader/1", "/roles/writer/0", "/users/bea/1", "/users/cyn"})
        ghost = paths["/roles/ghost"]
        self.assertEqual(ghost["edit"]["patch"], [{"op": "remove", "path": "/roles/ghost"}])
        self.assertEqual((ghost["evidence"]["inputs_that_name_it"], ghost["evidence"]["last_seen"]), (0, None))
        only = self.advice("--document", "/roles/reader")["entry_never_needed"]
        self.assertEqual([e["edit"]["patch"][0]["path"] for e in only], ["/roles/reader/1"])

    def test_inputs_never_allowed(self):
        odd = self.advice()["input_never_allowed"]
        self.assertEqual([o["what"] for o in odd],
                         ['data.app.allow never allowed an input whose /user is "eve"; with other values there it allowed some.'])
        self.assertEqual((odd[0]["evidence"]["denied"], odd[0]["evidence"]["last_seen"]), (10, "2026-01-28T00:00:00Z"))
        self.assertTrue(odd[0]["edit"]["look_at"]["text"])

    def test_text_status_and_hostile_records(self):
        text = self.run_verb("advise", "-d", "p", "--fail", "log.jsonl", status=1)
        self.assertTrue(text.startswith("40 asked, 1 skipped, 2026-01-01T00:00:00Z to 2026-01-28T00:00:00Z\n"), text)
        self.assertIn('  edit: {"patch":[{"op":"remove","path":"/roles/ghost"}]}', text)
        self.write("bad.jsonl", "\n".join(["[" * 3000, "{}", '{"path": 1}', '{"path": "' + "a/" * 300 + '"}',
                                           '{"path": "app/allow", "input": ' + "[" * 400 + "]" * 400 + "}",
                                           '{"path": "app/allow", "timestamp": 7, "decision_id": []}']))
        self.run_json("advise", "-d", "p", "-f", "json", "bad.jsonl")
        self.run_verb("advise", "-d", "p", status=2)
        self.run_verb("advise", "log.jsonl", status=2)
