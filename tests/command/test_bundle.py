# SPDX-License-Identifier: Apache-2.0
"""build, sign, inspect, and -b of the other verbs."""
import base64
import hashlib
import hmac
import json
import os
import tarfile

from run import Command

POLICY = "package shop\n\nallow if { input.x==data.shop.limit }\n"
LAID_OUT = "package shop\n\nallow if input.x == data.shop.limit\n"


class Bundle(Command):
    def folder_bundle(self):
        self.write("b/.manifest", '{"revision": "1", "roots": ["shop"]}')
        self.write("b/shop/p.rego", POLICY)
        self.write("b/shop/data.json", '{"limit": 1.50}')
        return "b"

    def files(self, name="bundle.tar.gz"):
        with tarfile.open(os.path.join(self.folder, name)) as t:
            return {m.name: t.extractfile(m).read().decode() for m in t.getmembers()}

    def test_plain_files_become_a_bundle(self):
        self.write("p/a.rego", "package a\np := 1")
        self.write("p/x/data.json", '{"k": 1}')
        self.run_verb("build", "p", "-r", "7", "-o", "out.tar.gz")
        found = self.files("out.tar.gz")
        self.assertEqual(list(found), ["/data.json", "/p/a.rego", "/.manifest"])
        self.assertEqual(found["/data.json"], '{"x":{"k":1}}\n')
        self.assertEqual(found["/p/a.rego"], "package a\n\np := 1\n")
        self.assertEqual(found["/.manifest"], '{"revision":"7","roots":[""],"rego_version":1}\n')
        first = open(os.path.join(self.folder, "out.tar.gz"), "rb").read()
        self.run_verb("build", "p", "-r", "7", "-o", "again.tar.gz")
        self.assertEqual(first, open(os.path.join(self.folder, "again.tar.gz"), "rb").read())

    def test_a_folder_laid_out_as_one_keeps_its_manifest(self):
        self.folder_bundle()
        self.run_verb("build", "-b", "b")
        found = self.files()
        self.assertEqual(json.loads(found["/.manifest"]), {"revision": "1", "roots": ["shop"], "rego_version": 1})
        self.assertEqual(found["/b/shop/p.rego"], LAID_OUT)
        for way in (("-b", "bundle.tar.gz"), ("-d", "bundle.tar.gz"), ("-b", "b")):
            self.write("in.json", '{"x": 1.5}')
            self.assertEqual(self.run_verb("eval", *way, "-i", "in.json", "-f", "raw", "data.shop.allow"), "true\n")
        self.run_verb("check", "-b", "b")

    def test_versions_are_told_by_file(self):
        self.write("b/.manifest", '{"roots": ["v"], "rego_version": 0, "file_rego_versions": {"/new.rego": 1}}')
        self.write("b/old.rego", "package v\n\np[x] { x = 1 }\n")
        self.write("b/new.rego", "package v\n\nq contains 2\n")
        self.run_verb("build", "-b", "b")
        manifest = json.loads(self.files()["/.manifest"])
        self.assertEqual((manifest["rego_version"], manifest["file_rego_versions"]), (0, {"/b/new.rego": 1}))
        self.assertEqual(self.run_verb("eval", "-b", "bundle.tar.gz", "-f", "raw", "data.v").strip(), '{"p":[1],"q":[2]}')

    def test_several_are_merged_unless_they_overlap(self):
        self.write("x/.manifest", '{"roots": ["x"]}')
        self.write("x/x/data.json", "{}")
        self.write("y/.manifest", '{"roots": ["y"]}')
        self.write("y/y.rego", "package y\n\np := 1\n")
        self.run_verb("build", "-b", "x", "y")
        self.assertEqual(json.loads(self.files()["/.manifest"])["roots"], ["x", "y"])
        self.write("y/.manifest", '{"roots": ["x/y", "y"]}')
        out = self.run_verb("build", "-b", "x", "y", status=1)
        self.assertEqual(out, "error: bundle merge failed: manifest has overlapped roots: 'x' and 'x/y'\n")

    def test_signed_verified_and_refused(self):
        self.folder_bundle()
        self.run_verb("build", "-b", "b", "--signing-key", "secret", "--signing-alg", "HS256")
        header, payload, signature = json.loads(self.files()["/.signatures.json"])["signatures"][0].split(".")
        mac = hmac.new(b"secret", f"{header}.{payload}".encode(), hashlib.sha256).digest()
        self.assertEqual(base64.urlsafe_b64encode(mac).rstrip(b"=").decode(), signature)
        listed = json.loads(base64.urlsafe_b64decode(payload + "=="))
        self.assertEqual(listed["keyid"], "default")
        self.assertEqual([f["name"] for f in listed["files"]], ["b/shop/p.rego", "data.json", ".manifest"])
        self.assertEqual(listed["files"][0]["hash"], hashlib.sha256(LAID_OUT.encode()).hexdigest())
        self.assertEqual(listed["files"][1]["hash"], hashlib.sha256(b'{"shop":{"limit":1.50}}').hexdigest())
        again = ("build", "-b", "bundle.tar.gz", "-o", "x.tar.gz", "--signing-alg", "HS256", "--verification-key")
        self.run_verb(*again, "secret")
        self.assertIn("could not verify message", self.run_verb(*again, "wrong", status=1))
        self.assertIn("scope mismatch", self.run_verb(*again, "secret", "--scope", "write", status=1))
        out = self.run_verb("build", "bundle.tar.gz", "--signing-key", "s", status=1)
        self.assertEqual(out, "error: enable bundle mode (ie. --bundle) to verify or sign bundle files or directories\n")

    def test_sign_writes_the_signatures_alone(self):
        self.folder_bundle()
        self.write("claims.json", '{"scope": "read", "keyid": "k"}')
        self.run_verb("sign", "-b", "b", "--signing-key", "s", "--signing-alg", "HS256",
                      "--claims-file", "claims.json", "-o", "b")
        text = open(os.path.join(self.folder, "b/.signatures.json"), encoding="utf-8").read()
        self.assertTrue(text.startswith('{\n "signatures": [\n  "ey'))
        check = ("build", "-b", "b", "--verification-key", "s", "--verification-key-id", "k", "--signing-alg", "HS256")
        self.run_verb(*check, "--scope", "read")
        self.write("b/shop/data.json", '{"limit": 2}')
        self.assertIn("b/shop/data.json: digest mismatch", self.run_verb(*check, "--scope", "read", status=1))
        self.assertIn("specify the secret", self.run_verb("sign", "-b", "b", status=1))

    def test_inspect_as_a_table_and_as_json(self):
        self.folder_bundle()
        self.run_verb("build", "-b", "b", "-o", "x.tar.gz")
        self.assertEqual(self.run_verb("inspect", "x.tar.gz"), """MANIFEST:
┌──────────────┬───────┐
│    FIELD     │ VALUE │
├──────────────┼───────┤
│ Rego Version │ 1     │
│ Revision     │ 1     │
│ Roots        │ shop  │
└──────────────┴───────┘
NAMESPACES:
┌───────────┬────────────────┐
│ NAMESPACE │      FILE      │
├───────────┼────────────────┤
│ data      │ /data.json     │
│ data.shop │ /b/shop/p.rego │
└───────────┴────────────────┘
""")
        told = self.run_json("inspect", "b", "-f", "json")
        self.assertEqual(told["manifest"], {"revision": "1", "roots": ["shop"]})
        self.assertEqual(told["namespaces"], {"data.shop": ["b/shop/p.rego", "b/shop/data.json"]})
        self.assertEqual(told["signatures_config"], {})
        self.assertEqual(told["capabilities"]["features"], ["rego_v1"])
        self.assertIn("specify exactly one", self.run_stderr("inspect", "a", "b"))

    def run_stderr(self, *words):
        self.run_verb(*words, status=1)
        return self.stderr

    def test_inspect_shows_annotations(self):
        self.write("x.rego", "# METADATA\n# title: All of it\n# authors:\n# - Ann <a@example.org>\npackage a.b\n\n"
                             "# METADATA\n# description: who may\n# custom:\n#  note: 1\nallow := true\n")
        out = self.run_verb("inspect", "-a", "x.rego")
        self.assertIn("All of it\n=========\n\nPackage:  a.b\nLocation: x.rego:5\nScope: package\n\n"
                      "Authors:\n Ann <a@example.org>\n", out)
        self.assertIn("a.b.allow\n=========\n\nwho may\n\nPackage:  a.b\nRule:     allow\n", out)
        self.assertIn("Custom:\n note: 1\n", out)

    ROLES = """package app

default allow := false

allow if {
	some role in data.roles[input.user]
	role.kind == "admin"
}

allow if is_owner

is_owner if input.user == data.owner

# METADATA
# entrypoint: true
deny contains msg if {
	some name in data.banned
	name == input.user
	msg := sprintf("%s may not", [name])
}

other := 1
"""
    USERS = '{"roles": {"alice": [{"kind": "admin"}], "bob": []}, "owner": "carol", "banned": ["dave"]}'

    def test_optimized_bundles_answer_the_same(self):
        self.write("p.rego", self.ROLES)
        self.write("data.json", self.USERS)
        for level in "12":
            self.run_verb("build", "-O", level, "-e", "app/allow", "p.rego", "data.json", "-o", f"{level}.tar.gz")
            found = self.files(f"{level}.tar.gz")
            self.assertIn("/optimized/app.rego", found)
            self.assertNotIn("allow", found["/p.rego"])
            self.assertIn("other := 1", found["/p.rego"])
            for user in ("alice", "bob", "carol", "dave"):
                ask = ("-f", "raw", "-I", "[data.app.allow, data.app.deny]")
                given = json.dumps({"user": user})
                self.assertEqual(self.run_verb("eval", "-d", f"{level}.tar.gz", *ask, given=given),
                                 self.run_verb("eval", "-d", "p.rego", "-d", "data.json", *ask, given=given))
        self.assertIn('allow if "alice" = input.user\n', self.files("2.tar.gz")["/optimized/app.rego"])

    def test_what_cannot_be_optimized(self):
        self.write("p.rego", "package p\n\nq := 1\n\nr if false\n")
        self.assertEqual(self.run_verb("build", "-O", "1", "-e", "p/none", "p.rego", status=1),
                         "error: undefined entrypoint data.p.none\n")
        self.assertIn("must have at least two components", self.run_verb("build", "-O", "1", "-e", "p", "p.rego", status=1))

    def test_what_cannot_be_built(self):
        self.write("p.rego", "package p\n\nq := x\n")
        self.assertIn("rego_unsafe_var_error: var x is unsafe", self.run_verb("build", "p.rego", status=1))
        self.write("p.rego", "package p\n\nq := 1\n")
        self.assertIn("target wasm", self.run_verb("build", "-t", "wasm", "p.rego", status=1))
        self.assertEqual(self.run_verb("build", "-t", "x", "p.rego", status=1), 'error: invalid target "x"\n')
        self.assertEqual(self.run_verb("build", "-O", "1", "p.rego", status=1),
                         "error: bundle optimizations require at least one entrypoint\n")
        self.write("broken.tar.gz", "no archive")
        self.assertIn("archive read failed", self.run_verb("build", "-b", "broken.tar.gz", status=1))
        self.assertFalse(os.path.exists(os.path.join(self.folder, "bundle.tar.gz")))
