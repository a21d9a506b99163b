// Durable reactors against a real hub.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import test from "node:test";
import { NexusError, NexusHub, ProtocolEvent, RetryLater } from "@neo-protocol/nexus-sdk";

import { cleanEnv, Hub, until } from "./hub.mjs";

function hubOf(t, hub, options = {}) {
  const nexus = new NexusHub({ ...hub.where, group: "test", onError: () => {}, ...options });
  t.after(() => nexus.close());
  return nexus;
}

/** N-011 */
test("what is dispatched runs the handler that was registered, and is then delivered", async (t) => {
  const hub = await Hub.start(t);
  const nexus = hubOf(t, hub);
  const seen = [];
  const reactor = nexus.onEvent(ProtocolEvent.PAYMENT_RECEIVED, async (payload, delivery) => seen.push([payload, delivery]));
  const sent = await nexus.dispatch(ProtocolEvent.PAYMENT_RECEIVED, { payerId: "p1", amount: 5 });
  await until("the handler ran", () => seen.length === 1);
  const [payload, delivery] = seen[0];
  assert.deepEqual(payload, { payerId: "p1", amount: 5 });
  assert.equal(delivery.id, sent.id);
  assert.deepEqual([delivery.event, delivery.topic, delivery.attempt, delivery.seq], ["PAYMENT_RECEIVED", "payment.received", 1, sent.seq]);
  assert.ok(Math.abs(delivery.timestamp - Date.now()) < 60_000);
  const fate = await hub.fate(sent.id, "delivered");
  assert.deepEqual([fate.deliveries[0].subscription, reactor.name], ["test.payment_received", "test.payment_received"]);
});

/** N-010 */
test("the vocabulary is there, and a closed source may not leave it", async (t) => {
  const hub = await Hub.start(t);
  assert.deepEqual(Object.values(ProtocolEvent), [
    "PAYMENT_RECEIVED", "PAYMENT_FAILED", "MINT_REQUESTED", "MINT_CONFIRMED", "MINT_FAILED",
  ]);
  await hub.call("/api/v1/sources", "POST", { id: "node", secrets: ["s3cret"], closed: true, allow: ["PAYMENT_RECEIVED"] });
  const nexus = hubOf(t, hub, { token: undefined, secret: "s3cret", source: "node", url: hub.url });
  const sent = await nexus.dispatch(ProtocolEvent.PAYMENT_RECEIVED, { payerId: "p", amount: 1 });
  assert.ok(sent.seq > 0);
  const wrong = await nexus.dispatch("NEVER_HEARD_OF", {}).catch((error) => error);
  assert.deepEqual([wrong.status, wrong.code, wrong instanceof NexusError], [400, "UNKNOWN_EVENT", true]);
});

test("a handler that throws gets the event again with the same id, until it is a dead letter", async (t) => {
  const hub = await Hub.start(t);
  const nexus = hubOf(t, hub);
  const seen = [];
  const options = { retry: "20ms", maxAttempts: 3 };
  nexus.onEvent("job.poison", (_, delivery) => {
    seen.push(delivery);
    throw new Error("no good");
  }, options);
  let later = 0;
  nexus.onEvent("job.later", () => {
    later += 1;
    if (later === 1) throw new RetryLater(300, "not yet");
  }, { retry: "1h" });
  const poison = await nexus.dispatch("job.poison", { n: 1 });
  const begun = Date.now();
  const delayed = await nexus.dispatch("job.later", { n: 2 });
  const fate = await hub.fate(poison.id, "dead");
  assert.deepEqual(seen.map((d) => d.attempt), [1, 2, 3]);
  assert.equal(new Set(seen.map((d) => d.deliveryId)).size, 1);
  assert.match(fate.deliveries[0].why, /Error: no good/);
  await hub.fate(delayed.id, "delivered");
  assert.ok(later === 2 && Date.now() - begun >= 300);
});

test("a lease is kept while the handler runs, and programs of a group share the work", async (t) => {
  const hub = await Hub.start(t);
  const done = new Map();
  const programs = ["a", "b"].map((who) => {
    const nexus = hubOf(t, hub);
    const reactor = nexus.onEvent("work.item", async (payload) => {
      // Longer than the lease: without being extended it would come again.
      await new Promise((resolve) => setTimeout(resolve, payload.n === 0 ? 1_200 : 10));
      done.set(payload.n, [...(done.get(payload.n) ?? []), who]);
    }, { leaseMs: 400, concurrency: 2 });
    return { nexus, reactor };
  });
  await Promise.all(programs.map((p) => p.reactor.ready));
  const sent = [];
  for (let n = 0; n < 60; n += 1) sent.push(await programs[0].nexus.dispatch("work.item", { n }));
  await until("all are done", () => done.size === 60);
  assert.ok([...done.values()].every((by) => by.length === 1), "each once");
  assert.deepEqual([...new Set([...done.values()].flat())].sort(), ["a", "b"]);
  await hub.fate(sent[0].id, "delivered");
});

test("what a program held when it was killed goes to the next one under the same id", async (t) => {
  const hub = await Hub.start(t);
  const program = `
    import { NexusHub } from "@neo-protocol/nexus-sdk";
    const nexus = new NexusHub({ group: "g" });
    nexus.onEvent("a.b", (payload, delivery) => {
      console.log(JSON.stringify([delivery.id, delivery.deliveryId]));
      return new Promise(() => {});
    }).ready.then(() => console.log("ready"));`;
  const env = cleanEnv({ NEXUS_URL: hub.url, NEXUS_TOKEN: hub.token });
  const child = spawn(process.execPath, ["--input-type=module", "-e", program], { cwd: import.meta.dirname, env });
  t.after(() => child.kill("SIGKILL"));
  let said = "";
  child.stdout.setEncoding("utf8").on("data", (text) => {
    said += text;
  });
  await until("it is ready", () => said.includes("ready"));
  const { message_id: id } = await hub.publish("a.b", { n: 1 });
  await until("it holds the event", () => said.includes(id));
  child.kill("SIGKILL");
  const nexus = hubOf(t, hub, { group: "g" });
  const seen = [];
  nexus.onEvent("a.b", (_, delivery) => seen.push(delivery));
  await until("the next one has it", () => seen.length === 1);
  assert.deepEqual([seen[0].attempt, JSON.stringify([seen[0].id, seen[0].deliveryId])], [2, said.trim().split("\n").at(-1)]);
  await hub.fate(id, "delivered");
});

test("a hub that is killed and comes back loses nothing, and what happened meanwhile is handled", async (t) => {
  const hub = await Hub.start(t);
  const states = [];
  const nexus = hubOf(t, hub, { onStatus: (status) => states.push(status.state) });
  const seen = [];
  const reactor = nexus.onEvent("n.*", (payload) => seen.push(payload.n));
  await reactor.ready;
  await hub.publish("n.one", { n: 1 });
  await until("the first is handled", () => seen.includes(1));
  await hub.kill();
  await until("it noticed", () => states.includes("waiting"));
  await hub.again();
  await hub.publish("n.two", { n: 2 });
  await until("the second is handled", () => seen.includes(2));
  await reactor.stop();
  const missed = await hub.publish("n.three", { n: 3 });
  await nexus.close();
  const back = hubOf(t, hub);
  back.onEvent("n.*", (payload) => seen.push(payload.n));
  await hub.fate(missed.message_id, "delivered");
  assert.ok(seen.includes(3));
});

test("a token that may only consume uses what was made for it; what may not be is told", async (t) => {
  const hub = await Hub.start(t);
  const errors = [];
  const token = await hub.scoped("narrow", ["subscriptions:consume:test.x"]);
  const narrow = hubOf(t, hub, { token, onError: (error) => errors.push(error) });
  const refused = narrow.onEvent("y", () => {});
  const error = await refused.ready.catch((e) => e);
  assert.equal(error.code, "FORBIDDEN");
  assert.equal(errors.length, 1);
  const made = await hub.call("/api/v1/subscriptions/test.x", "PUT", { filters: ["x"], target: { kind: "consumer" } });
  assert.equal(made.status, 200);
  const seen = [];
  await narrow.onEvent("x", (payload) => seen.push(payload)).ready;
  await hub.publish("x", 7);
  await until("it is handled", () => seen.length === 1);
});
