// SPDX-License-Identifier: Apache-2.0
// ioredis against our cache: what a web application does with it.
import Redis from "ioredis";

const [port, password] = process.argv.slice(4);
const open = (more = {}) => new Redis({ port: Number(port), password, lazyConnect: false, ...more });
const r = open();
const said = {};

await r.set("greeting", "hällo", "EX", 100);
said.text = await r.get("greeting");
said.ttl = (await r.ttl("greeting")) > 90;
await r.set(Buffer.from([0, 255, 13, 10]), Buffer.from([1, 0, 2]));
said.bytes = [...(await r.getBuffer(Buffer.from([0, 255, 13, 10])))];
await r.hset("user:1", { name: "Ada", seen: 3 });
said.counted = await r.hincrby("user:1", "seen", 4);
said.hash = await r.hgetall("user:1");
said.pipeline = (await r.pipeline().rpush("l", "a", "b", "c").lrange("l", 0, -1).llen("none").exec()).map((x) => x[1]);
said.multi = (await r.multi().incr("n").incrby("n", 41).exec()).map((x) => x[1]);
await r.zadd("board", 3, "c", 1, "a", 2, "b");
said.scores = await r.zrange("board", 0, -1, "WITHSCORES");

const other = open();
await r.watch("n");
await other.set("n", 1);
said.watched = await r.multi().get("n").exec();

const listener = open();
const heard = new Promise((done) => listener.on("pmessage", (pattern, channel, text) => done([pattern, channel, text])));
await listener.psubscribe("news.*");
await r.publish("news.today", "bonjour");
said.heard = await heard;

const popped = other.blpop("queue", 20);
await r.rpush("queue", "job");
said.popped = await popped;

await r.xgroup("CREATE", "events", "g", "$", "MKSTREAM");
const id = await r.xadd("events", "*", "kind", "vote");
const read = await r.xreadgroup("GROUP", "g", "me", "COUNT", 10, "STREAMS", "events", ">");
said.stream = [read[0][0], read[0][1][0][0] === id, read[0][1][0][1], await r.xack("events", "g", id)];

for (let i = 0; i < 500; i++) r.set(`many:${i}`, i);
let found = 0;
for await (const keys of r.scanStream({ match: "many:*", count: 100 })) found += keys.length;
said.scanned = found;
said.wrong = await r.lpush("greeting", "x").catch((e) => e.message);
said.refused = await open({ password: "not it", retryStrategy: null }).ping().catch((e) => e.message);
console.log(JSON.stringify(said));
process.exit(0);
