// SPDX-License-Identifier: Apache-2.0
// The reference's own client, as an application uses it: decisions, the default one, a batch, filters.
import { OPAClient } from "@open-policy-agent/opa";

const [https, , token] = process.argv.slice(2);
const opa = new OPAClient(https, { headers: { authorization: `Bearer ${token}` } });
const said = {};

said.allowed = await opa.evaluate("shop/allow", { user: "ada" });
said.denied = await opa.evaluate("shop/allow", { user: "eve" });
said.noInput = await opa.evaluate("shop/limit");
said.shaped = await opa.evaluate("shop/allow", { user: "ada" }, { fromResult: (r) => (r ? "yes" : "no") });
said.byDefault = await opa.evaluateDefault({ user: "ada" });
said.batch = await opa.evaluateBatch("shop/allow", { a: { user: "ada" }, e: { user: "eve" } }, { fallback: true });
said.mixed = await opa.evaluateBatch("shop/conflict", { one: { n: 1 }, two: { n: 2 } }, { fallback: true });
try {
  await opa.evaluate("shop/conflict", { n: 2 });
} catch (e) {
  said.failed = { name: e.constructor.name, code: e.code, errors: e.errors?.map((x) => x.code) };
}
said.sql = await opa.getFilters("shop/include", { user: "ada" }, { target: "postgresql", unknowns: ["input.orders"] });
said.prisma = (
  await opa.getFilters(
    "shop/include",
    { user: "ada" },
    { unknowns: ["input.orders"], ucastPrisma: { primary: "orders" } },
  )
).query;
said.several = await opa.getMultipleFilters(
  "shop/include",
  { user: "ada" },
  { unknowns: ["input.orders"], targets: ["sqlite", "ucastALL"] },
);
console.log(JSON.stringify(said));
