// Calls, their errors, and where the hub is found.

import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { BackendApi, ERROR_CODES, HubClient, NexusError, orThrow, RateLimitedError, resolve, UnauthenticatedError } from "@neo-protocol/nexus-sdk";

import { committed, generated } from "../scripts/generate.mjs";
import { Hub, standIn } from "./hub.mjs";

/** K-129 */
test("every code of the hub is a typed error, and what is retryable is tried again", async (t) => {
  const problems = readFileSync(new URL("../../../crates/core/src/problem.rs", import.meta.url), "utf8");
  const codes = [...problems.matchAll(/Self::\w+ => "([A-Z_]+)"/g)].map((m) => m[1]);
  assert.ok(codes.length >= 16, `${codes}`);
  for (const code of codes) {
    const status = ERROR_CODES[code];
    assert.ok(status, `${code} has no type`);
    const retryable = [429, 502, 503, 504].includes(status);
    for (const enveloped of [true, false]) {
      const fields = { code, message: `it is ${code}`, retryable, details: { a: "b" }, status };
      const body = { success: false, ...fields, error: { ...fields }, ...(enveloped ? { timestamp: "t" } : {}), requestId: "r1" };
      const server = await standIn(t, () => [status, body, { "x-request-id": "r1", ...(status === 429 ? { "retry-after": "0" } : {}) }]);
      const client = new HubClient({ url: server.url, token: "t", retries: 1 });
      const error = await client.call("/x").catch((e) => e);
      assert.ok(error instanceof NexusError && error.constructor !== NexusError, `${code} is only a NexusError`);
      assert.deepEqual(
        [error.code, error.status, error.retryable, error.requestId, error.details, error.message],
        [code, status, retryable, "r1", { a: "b" }, `it is ${code}`],
      );
      assert.equal(server.journal.length, retryable ? 2 : 1, `${code} was tried ${server.journal.length} times`);
    }
  }
});

/** K-122 */
test("the types are made from the schema that the hub serves, and it holds bodies to that schema", async (t) => {
  const hub = await Hub.start(t);
  const served = await (await fetch(`${hub.url}/openapi.json`)).json();
  const source = JSON.parse(readFileSync(new URL("../../../api/openapi.json", import.meta.url), "utf8"));
  assert.deepEqual(served, source, "the hub serves what the types are made from");
  assert.equal(committed(), await generated(), "npm run generate");
  const headers = { authorization: `Bearer ${hub.token}`, "content-type": "application/json" };
  let held = 0;
  for (const [path, { post }] of Object.entries(served.paths)) {
    const name = post?.requestBody?.content["application/json"]?.schema.$ref?.split("/").pop();
    const schema = served.components.schemas[name];
    const open = post?.security.some((proof) => "bearer" in proof) && !path.includes("{") && !path.startsWith("/__");
    // A query that is missing is answered in GraphQL's own form.
    if (!open || !schema?.required?.length || name === "GraphqlRequest") continue;
    // A type says that these fields must be there; so does the hub, and names one of them.
    const answer = await fetch(hub.url + path, { method: "POST", headers, body: "{}" });
    const body = await answer.json();
    assert.equal(answer.status, 422, `${path}: ${JSON.stringify(body)}`);
    const named = Object.keys(body.details ?? {});
    assert.ok(named.length > 0 && named.every((field) => field in schema.properties), `${path}: ${named}`);
    // And a field of a type that the schema does not allow is named as well.
    const full = Object.fromEntries(schema.required.map((field) => [field, { not: ["of", "this", "type"] }]));
    const wrong = await fetch(hub.url + path, { method: "POST", headers, body: JSON.stringify(full) });
    assert.equal(wrong.status, 422, `${path} took ${JSON.stringify(full)}`);
    held += 1;
  }
  assert.ok(held >= 6, `${held} bodies were held against their schemas`);
});

test("what may have been done is not sent twice by itself, a command is", async (t) => {
  const busy = { success: false, code: "UNAVAILABLE", message: "busy", retryable: true };
  const server = await standIn(t, (_, n) => (n % 2 === 1 ? [503, busy] : [200, { success: true, data: { id: "l1" }, timestamp: "2026-01-01T00:00:00Z" }]));
  const client = new HubClient({ url: server.url, token: "t" });
  await assert.rejects(client.call("/x", { body: {} }), { code: "UNAVAILABLE" });
  assert.equal(server.journal.length, 1);
  server.journal.length = 0;
  const api = new BackendApi({ url: server.url, token: "t" });
  const created = await api.createLead({ name: "A", phone: "+1", source: "permit" });
  assert.deepEqual([created.success, created.data.id, created.timestamp], [true, "l1", "2026-01-01T00:00:00Z"]);
  const [first, second] = server.journal;
  assert.deepEqual(first.body, second.body, "the same correlation id");
  assert.deepEqual([first.method, first.url, first.body.type, first.body.payload], ["POST", "/api/v1/commands", "lead.create", { name: "A", phone: "+1", source: "permit" }]);
  assert.match(first.headers.authorization, /^Bearer t$/);
  assert.ok(first.headers["x-request-id"]);
});

test("calls to a real hub succeed or say why not, without throwing", async (t) => {
  const hub = await Hub.start(t);
  const api = new BackendApi(hub.where);
  const health = await api.getHealth();
  assert.deepEqual([health.success, health.data.status], [true, "healthy"]);
  const tokens = await api.getTokens();
  assert.ok(tokens.success && tokens.data.some((token) => token.scopes.includes("admin")));
  const missing = await api.getToken("nobody");
  assert.deepEqual([missing.success, missing.error.code, missing.error.retryable, missing.data], [false, "NOT_FOUND", false, undefined]);
  assert.ok(missing.requestId);
  const stranger = await new BackendApi({ url: hub.url, token: "nxs_wrong" }).getTokens();
  assert.equal(stranger.error.code, "UNAUTHENTICATED");
  assert.throws(() => orThrow(stranger), UnauthenticatedError);
  await hub.kill();
  const gone = await new BackendApi({ ...hub.where, retries: 0 }).getHealth();
  assert.deepEqual([gone.success, gone.error.code, gone.error.retryable], [false, "UNREACHABLE", true]);
});

test("answers that are no hub's and slow ones are told from refusals", async (t) => {
  const server = await standIn(t, ({ url }) => (url === "/html" ? [200, "<html>"] : [429, "slow down", { "retry-after": "3" }]));
  const client = new HubClient({ url: server.url, retries: 0 });
  await assert.rejects(client.call("/html"), { code: "UNREADABLE", retryable: false });
  const limited = await client.call("/text").catch((e) => e);
  assert.ok(limited instanceof RateLimitedError && limited.retryable && limited.retryAfterMs === 3000);
  const slow = new HubClient({ url: server.url, retries: 0, timeoutMs: 30, fetch: (_, { signal }) => new Promise((_, no) => signal.addEventListener("abort", () => no(signal.reason))) });
  await assert.rejects(slow.call("/x"), { code: "LATE", retryable: true });
});

test("the hub and a token are found by argument, environment and file, in this order", (t) => {
  const folder = mkdtempSync(join(tmpdir(), "nexus-sdk-"));
  t.after(() => rmSync(folder, { recursive: true }));
  writeFileSync(join(folder, "admin.token"), "nxs_file\n");
  const set = (name, value) => {
    process.env[name] = value;
    t.after(() => delete process.env[name]);
  };
  assert.deepEqual(resolve(), { url: "http://127.0.0.1:8080", token: undefined });
  set("NEXUS_DATA", folder);
  assert.deepEqual(resolve({ url: "http://h:1/" }), { url: "http://h:1", token: "nxs_file" });
  set("INTEGRATION_HUB_TOKEN", "second");
  set("INTEGRATION_HUB_URL", "http://two:2");
  assert.deepEqual(resolve(), { url: "http://two:2", token: "second" });
  set("NEXUS_TOKEN", "first");
  set("NEXUS_URL", "http://one:1");
  assert.deepEqual(resolve(), { url: "http://one:1", token: "first" });
  assert.deepEqual(resolve({ url: "https://a.b", token: "own" }), { url: "https://a.b", token: "own" });
  assert.throws(() => resolve({ url: "localhost:1" }), /does not begin with http/);
});
