// SPDX-License-Identifier: Apache-2.0
// npm's redis against our cache over TLS, in both versions of the protocol, and with its own memory of what it
// read, which lives by the invalidations the server sends.
import { createClient } from "redis";

const [port, password] = process.argv.slice(4);
const said = {};

async function open(options) {
  const client = createClient({ password, socket: { host: "localhost", port: Number(port), tls: true }, ...options });
  client.on("error", () => {});
  return await client.connect();
}

for (const RESP of [2, 3]) {
  const c = await open({ RESP });
  const s = (said[`resp${RESP}`] = {});
  await c.flushDb();
  await c.set("k", "v", { expiration: { type: "EX", value: 50 }, condition: "NX" });
  s.get = await c.get("k");
  await c.hSet("h", { a: "1", b: "2" });
  s.hash = { ...(await c.hGetAll("h")) };
  await c.zAdd("z", [
    { score: 1.5, value: "one" },
    { score: 2, value: "two" },
  ]);
  s.scores = await c.zRangeWithScores("z", 0, -1);
  await c.sAdd("s", ["x", "y"]);
  s.members = [...(await c.sMembers("s"))].sort();
  s.multi = await c.multi().incr("n").get("n").exec();
  await c.xAdd("e", "*", { kind: "bill" });
  s.stream = (await c.xRange("e", "-", "+")).map((m) => ({ ...m.message }));
  s.geo = (await c.geoAdd("g", { longitude: -75.7, latitude: 45.4, member: "Ottawa" }), await c.geoSearch("g", "Ottawa", { radius: 1, unit: "km" }));
  s.scan = [];
  for await (const keys of c.scanIterator({ MATCH: "?" })) s.scan.push(...keys);
  s.scan.sort();
  c.destroy();
}

const plain = await open({});
said.ping = await plain.ping();
const caching = await open({ RESP: 3, clientSideCache: { ttl: 0, maxEntries: 10, evictPolicy: "LRU" } });
await plain.set("tracked", "1");
said.before = [await caching.get("tracked"), await caching.get("tracked")];
await plain.set("tracked", "2");
for (let i = 0; i < 400 && (await caching.get("tracked")) === "1"; i++) await new Promise((done) => setTimeout(done, 25));
said.after = await caching.get("tracked");
console.log(JSON.stringify(said));
process.exit(0);
