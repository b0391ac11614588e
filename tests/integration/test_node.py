# SPDX-License-Identifier: Apache-2.0
"""test_node.py: clients written for Node.js by others, as their users install them."""
import node
from appliance import AppliancePerClass

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
