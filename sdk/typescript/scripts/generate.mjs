// Types from the hub's own description, `api/openapi.json`. With --check: fails when the committed ones differ.

import { readFileSync, writeFileSync } from "node:fs";
import openapi, { astToString } from "openapi-typescript";

const source = new URL("../../../api/openapi.json", import.meta.url);
const target = new URL("../src/generated/api.ts", import.meta.url);
const head = "// Generated from api/openapi.json by `npm run generate`; not to be edited.\n\n";

export async function generated() {
  return head + astToString(await openapi(JSON.parse(readFileSync(source, "utf8"))));
}

export function committed() {
  return readFileSync(target, "utf8");
}

if (process.argv[1] === new URL(import.meta.url).pathname) {
  const text = await generated();
  if (!process.argv.includes("--check")) writeFileSync(target, text);
  else if (committed() !== text) {
    console.error("src/generated/api.ts is not what api/openapi.json says: npm run generate");
    process.exit(1);
  }
}
