// The printed code of the seeds that this package is for, taken from where they lie and run unchanged. Where they are not,
// as on a user's machine, this says so; `examples/typescript` covers the same ground.

import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { BackendApi, EventBus, NexusHub, ProtocolEvent } from "@neo-protocol/nexus-sdk";
import { EventBusProvider, useBackendEvent } from "@neo-protocol/nexus-sdk/react";
import { transformSync } from "esbuild";
import * as React from "react";
import { act, create } from "react-test-renderer";

import { Hub, standIn, until } from "./hub.mjs";

const places = [process.env.NEXUS_SEEDS, join(import.meta.dirname, "../../../../shared/seeds")];
const folder = places.find((place) => place && existsSync(place));
const skip = folder === undefined ? "no seeds here (NEXUS_SEEDS): examples/typescript covers the same ground" : false;

/** The code block of a seed that holds `mark`. */
function block(seed, mark) {
  const file = readdirSync(folder).find((name) => name.startsWith(seed));
  const text = readFileSync(join(folder, file), "utf8");
  const found = [...text.matchAll(/```typescript\n([\s\S]*?)```/g)].map((m) => m[1]).filter((code) => code.includes(mark));
  assert.equal(found.length, 1, `${found.length} blocks of seed ${seed} hold ${mark}`);
  return found[0];
}

/** Runs a block as the body of an async function with these names; what it imports is supplied by name, too. */
function runner(code, names, tail = "") {
  const body = code.replace(/^import .*$/gm, "");
  const { code: js } = transformSync(`async function block() {${body}\n${tail}}`, { loader: "tsx" });
  return new Function(...Object.keys(names), `${js}; return block();`)(...Object.values(names));
}

/** N-012 */
test("the reactor of seed 003 mints when a payment comes", { skip }, async (t) => {
  const hub = await Hub.start(t);
  const factory = await standIn(t);
  const nexus = new NexusHub({ ...hub.where, group: "seed" });
  t.after(() => nexus.close());
  const outside = (url, options) => fetch(url.replace("https://smart.neoprotocol.space", factory.url), options);
  const code = block("003", "Nexus.onEvent(ProtocolEvent.PAYMENT_RECEIVED");
  await runner(code, { Nexus: nexus, ProtocolEvent, FACTORY_API_KEY: "factory-key", fetch: outside });
  const paid = await nexus.dispatch(ProtocolEvent.PAYMENT_RECEIVED, { payerId: "0xabc", amount: 25 });
  await hub.fate(paid.id, "delivered");
  assert.equal(factory.journal.length, 1);
  const { method, url, headers, body } = factory.journal[0];
  assert.deepEqual([method, url, headers.authorization, body], ["POST", "/api/mint", "Bearer factory-key", { address: "0xabc", amount: 25 }]);
});

test("the command of seed 004 is sent, and its success and failure are told apart", { skip }, async (t) => {
  const code = block("004", "backendApi.createLead");
  const said = [];
  const console = { log: (...words) => said.push(words), error: (...words) => said.push(words) };
  const envelope = { timestamp: "2026-01-01T00:00:00Z", requestId: "r" };
  const refusal = { code: "INVALID", message: "phone: wrong", retryable: false };
  const backend = await standIn(t, (_, n) =>
    n === 1 ? [200, { success: true, data: { id: "l1" }, error: null, ...envelope }] : [422, { success: false, ...refusal, error: refusal, ...envelope }],
  );
  const backendApi = new BackendApi({ url: backend.url, token: "t" });
  await runner(code, { backendApi, console });
  await runner(code, { backendApi, console });
  assert.deepEqual(said, [["Lead created:", { id: "l1" }], ["Failed:", refusal]]);
  const { type, payload, correlationId } = backend.journal[0].body;
  assert.equal(type, "lead.create");
  assert.deepEqual(payload, { name: "John Smith", phone: "+1234567890", source: "permit", status: "new", priority: "hot" });
  assert.ok(correlationId);
});

test("the component of seed 004 shows a lead's status as the hub reports it", { skip }, async (t) => {
  t.mock.method(console, "error", () => {});
  const hub = await Hub.start(t);
  const bus = new EventBus(hub.where);
  t.after(() => bus.close());
  const code = block("004", "function LeadStatusDisplay");
  const LeadStatusDisplay = await runner(code, { React, useState: React.useState, useBackendEvent }, "return LeadStatusDisplay;");
  let page;
  act(() => {
    const component = React.createElement(LeadStatusDisplay, { leadId: "l1" });
    page = create(React.createElement(EventBusProvider, { bus }, component));
  });
  await until("the bus knows its place", () => bus.position !== undefined);
  await hub.publish("lead.status_changed", { lead: { id: "other", status: "lost" } });
  await hub.publish("lead.status_changed", { lead: { id: "l1", status: "contacted" } });
  await until("it shows the status", () => page.toJSON().children.join("") === "Status: contacted");
  act(() => page.unmount());
});
