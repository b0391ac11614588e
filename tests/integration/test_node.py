# SPDX-License-Identifier: Apache-2.0
"""test_node.py: clients written for Node.js by others, as their users install them."""
import node
from appliance import Appliance, AppliancePerClass

CACHE_PASSWORD = "a long password of the cache 41"

SHOP = """package shop

allow if input.user in {"ada", "grace"}

limit := 7

conflict := x if some x in numbers.range(1, input.n)

# METADATA
# scope: document
# compile:
#   unknowns: [input.orders]
include if input.orders.owner == input.user

include if input.orders.public == true
"""


class Node(AppliancePerClass):
    def test_the_references_own_client(self):
        token = self.a.login()
        for name, text in (("shop", SHOP), ("main", 'package system\n\nmain := {"who": input.user}')):
            r = self.a.put(f"/v1/policies/{name}", text.encode(), token=token, headers={"Content-Type": "text/plain"})
            self.assertEqual(r.status, 200, r)
        said = node.run(self.a, "opa_client.mjs", token)
        self.assertEqual([said[k] for k in ("allowed", "noInput", "shaped", "byDefault")],
                         [True, 7, "yes", {"who": "ada"}])
        self.assertNotIn("denied", said)  # undefined, as is the answer for eve
        self.assertEqual(said["batch"], {"a": True})
        self.assertEqual(said["mixed"]["one"], 1)
        self.assertEqual(said["mixed"]["two"]["errors"][0]["location"], {"file": "shop", "row": 7, "col": 1})
        self.assertEqual(said["failed"], {"name": "ServerError", "code": "internal_error",
                                          "errors": ["eval_conflict_error"]})
        self.assertEqual(said["sql"]["query"], "WHERE (orders.owner = E'ada' OR orders.public = TRUE)")
        self.assertEqual(said["prisma"], {"OR": [{"owner": {"equals": "ada"}}, {"public": {"equals": True}}]})
        self.assertEqual(said["several"]["sqlite"]["query"], "WHERE (orders.owner = 'ada' OR orders.public = TRUE)")
        self.assertEqual([f["field"] for f in said["several"]["ucast"]["query"]["value"]],
                         ["orders.owner", "orders.public"])

    def test_ioredis(self):
        with Appliance(resp=True, config={"cache.password": CACHE_PASSWORD}) as a:
            said = node.run(a, "ioredis.mjs", str(a.resp_port), CACHE_PASSWORD)
        self.assertEqual((said["text"], said["ttl"], said["bytes"]), ("hällo", True, [1, 0, 2]))
        self.assertEqual((said["counted"], said["hash"]), (7, {"name": "Ada", "seen": "7"}))
        self.assertEqual((said["pipeline"], said["multi"]), ([3, ["a", "b", "c"], 0], [1, 42]))
        self.assertEqual(said["scores"], ["a", "1", "b", "2", "c", "3"])
        self.assertIsNone(said["watched"])  # somebody else wrote what was watched
        self.assertEqual(said["heard"], ["news.*", "news.today", "bonjour"])
        self.assertEqual((said["popped"], said["scanned"]), (["queue", "job"], 500))
        self.assertEqual(said["stream"], ["events", True, ["kind", "vote"], 1])
        self.assertIn("WRONGTYPE", said["wrong"])
        self.assertIn("WRONGPASS", said["refused"])

    def test_redis_of_npm(self):
        config = {"cache.password": CACHE_PASSWORD, "cache.port": 0, "cache.tls_port": 6379}
        with Appliance(resp=True, config=config) as a:
            said = node.run(a, "redis.mjs", str(a.resp_port), CACHE_PASSWORD)
        for resp in ("resp2", "resp3"):
            self.assertEqual(said[resp], {
                "get": "v", "hash": {"a": "1", "b": "2"}, "members": ["x", "y"], "multi": [1, "1"],
                "scores": [{"value": "one", "score": 1.5}, {"value": "two", "score": 2}],
                "stream": [{"kind": "bill"}], "geo": ["Ottawa"], "scan": sorted("khzsneg")}, resp)
        self.assertEqual((said["ping"], said["before"], said["after"]), ("PONG", ["1", "1"], "2"))
