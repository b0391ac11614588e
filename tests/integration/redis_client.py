# SPDX-License-Identifier: Apache-2.0
"""redis_client.py PORT PASSWORD: python3-redis against our cache, as a program uses it."""
import sys

import redis

r = redis.Redis(port=int(sys.argv[1]), password=sys.argv[2], decode_responses=True, socket_timeout=20)


def check(got, wanted):
    assert got == wanted, f"{got!r} instead of {wanted!r}"


check(r.set("py:k", "é", ex=50, nx=True), True)
check(r.set("py:k", "again", nx=True), None)
check((r.get("py:k"), 40 < r.ttl("py:k") <= 50), ("é", True))
check(r.hset("py:h", mapping={"a": 1, "b": "two"}), 2)
check(r.hgetall("py:h"), {"a": "1", "b": "two"})
check(r.zadd("py:z", {"one": 1, "two": 2.5}), 2)
check(r.zrange("py:z", 0, -1, withscores=True), [("one", 1.0), ("two", 2.5)])
with r.pipeline() as p:
    p.watch("py:n")
    p.multi()
    p.incr("py:n").incrby("py:n", 4)
    check(p.execute(), [1, 5])
with r.pipeline() as p:
    p.watch("py:n")
    r.set("py:n", 0)
    p.multi()
    p.get("py:n")
    try:
        p.execute()
        raise AssertionError("a watched key changed, yet it went through")
    except redis.WatchError:
        pass
ears = r.pubsub(ignore_subscribe_messages=True)
ears.subscribe("py:news")
check(ears.get_message(timeout=10), None)
r.publish("py:news", "bonjour")
check(ears.get_message(timeout=10)["data"], "bonjour")
check(r.xgroup_create("py:s", "g", mkstream=True), True)
entry = r.xadd("py:s", {"kind": "bill"})
check(r.xreadgroup("g", "me", {"py:s": ">"}), [["py:s", [(entry, {"kind": "bill"})]]])
check(r.xpending("py:s", "g")["pending"], 1)
check(sorted(r.scan_iter("py:*")), ["py:h", "py:k", "py:n", "py:s", "py:z"])
check(r.geoadd("py:g", (-75.7, 45.4, "Ottawa")), 1)
check(r.info("server")["redis_mode"], "standalone")
try:
    r.lpush("py:k", 1)
    raise AssertionError("a list in a string")
except redis.ResponseError as e:
    assert "WRONGTYPE" in str(e) or "wrong kind" in str(e), e
print("all as expected")
