// SPDX-License-Identifier: Apache-2.0
// validate.mjs FILE — a public validator judges the API document; run in the folder npm installed to.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import { join } from "node:path";

const found = createRequire(join(process.cwd(), "x.js")).resolve("@seriousme/openapi-schema-validator");
const { Validator } = await import(pathToFileURL(found));
const validator = new Validator();
const result = await validator.validate(JSON.parse(readFileSync(process.argv[2], "utf8")));
console.log(result.valid ? `valid OpenAPI ${validator.version}` : JSON.stringify(result.errors, null, 1));
process.exit(result.valid ? 0 : 1);
