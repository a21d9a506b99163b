// Runs the tests, several files at once: one of them has to wait for a minute.

import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const asked = process.argv.slice(2);
const files = readdirSync(`${root}/tests`).filter((name) => name.endsWith(".test.mjs"));
const chosen = asked.length === 0 ? files : files.filter((name) => asked.some((one) => name.includes(one)));
// The slowest first.
chosen.sort((a, b) => Number(b.startsWith("bus")) - Number(a.startsWith("bus")));
const args = ["--test", "--test-reporter=spec", "--test-concurrency=3", ...chosen.map((name) => `tests/${name}`)];
const run = spawnSync(process.execPath, args, { cwd: root, stdio: "inherit" });
process.exit(run.status ?? 1);
