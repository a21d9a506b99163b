// The package as it is published: it installs without a network and works from there.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { promisify } from "node:util";

import { cleanEnv, Hub } from "./hub.mjs";

const run = promisify(execFile);
const root = join(import.meta.dirname, "..");

const PROGRAM = `
  const nexus = new NexusHub({ group: process.argv[2] });
  const reactor = nexus.onEvent(ProtocolEvent.PAYMENT_RECEIVED, async (payload) => {
    console.log("paid", payload.amount);
    setTimeout(() => nexus.close(), 50);
  });
  reactor.ready.then(() => nexus.dispatch(ProtocolEvent.PAYMENT_RECEIVED, { payerId: "p", amount: 7 }));`;

/** N-023 */
test("the packed tarball installs offline, without a dependency, and subscribes from either kind of module", async (t) => {
  const hub = await Hub.start(t);
  const folder = mkdtempSync(join(tmpdir(), "nexus-sdk-pack-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  // A cache of its own: nothing that happens to be in this machine's may help.
  const env = cleanEnv({ npm_config_cache: join(folder, "cache"), npm_config_update_notifier: "false" });
  const packed = await run("npm", ["pack", "--json", "--ignore-scripts", "--pack-destination", folder], { cwd: root, env });
  const [{ filename, files }] = JSON.parse(packed.stdout);
  const names = files.map((f) => f.path);
  for (const wanted of ["dist/esm/index.js", "dist/cjs/index.js", "dist/browser/index.js", "dist/esm/index.d.ts", "dist/cjs/react.d.ts", "README.md", "dist/LICENSE-ws"]) {
    assert.ok(names.includes(wanted), `${wanted} is not in the package`);
  }
  assert.ok(names.every((name) => /^(dist\/|README\.md$|package\.json$)/.test(name)), names.join(" "));
  writeFileSync(join(folder, "package.json"), '{"private":true}');
  await run("npm", ["install", "--offline", "--no-audit", "--no-fund", `./${filename}`], { cwd: folder, env });
  const lock = JSON.parse(readFileSync(join(folder, "package-lock.json"), "utf8"));
  assert.deepEqual(Object.keys(lock.packages), ["", "node_modules/@neo-protocol/nexus-sdk"]);
  const name = "{ NexusHub, ProtocolEvent }";
  writeFileSync(join(folder, "module.mjs"), `import ${name} from "@neo-protocol/nexus-sdk";${PROGRAM}`);
  writeFileSync(join(folder, "common.cjs"), `const ${name} = require("@neo-protocol/nexus-sdk");${PROGRAM}`);
  for (const file of ["module.mjs", "common.cjs"]) {
    const hubEnv = { ...env, NEXUS_URL: hub.url, NEXUS_TOKEN: hub.token };
    const { stdout } = await run(process.execPath, [file, file.slice(0, 3)], { cwd: folder, env: hubEnv, timeout: 20_000 });
    assert.equal(stdout, "paid 7\n", file);
  }
});

test("the example pays, mints and ends by itself", async (t) => {
  const hub = await Hub.start(t);
  const folder = mkdtempSync(join(tmpdir(), "nexus-sdk-example-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  mkdirSync(join(folder, "node_modules/@neo-protocol"), { recursive: true });
  symlinkSync(root, join(folder, "node_modules/@neo-protocol/nexus-sdk"));
  copyFileSync(join(root, "../../examples/typescript/reactor.mjs"), join(folder, "reactor.mjs"));
  const env = cleanEnv({ NEXUS_URL: hub.url, NEXUS_TOKEN: hub.token });
  const { stdout } = await run(process.execPath, ["reactor.mjs"], { cwd: folder, env, timeout: 20_000 });
  assert.match(stdout, /^paid: event .*\nattempt 2: minting 25 for 0xabc\nminted for 0xabc\n$/);
});

test("the build for browsers asks for nothing of Node", () => {
  const text = readFileSync(join(root, "dist/browser/index.js"), "utf8");
  assert.doesNotMatch(text, /from\s*"node:|require\(|from\s*"ws"/);
});
