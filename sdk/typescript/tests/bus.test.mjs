// The event bus against a real hub.

import assert from "node:assert/strict";
import test from "node:test";
import { EventBus } from "@neo-protocol/nexus-sdk";

import { Hub, until } from "./hub.mjs";

function busOf(t, hub, options = {}) {
  const bus = new EventBus({ ...hub.where, ...options });
  t.after(() => bus.close());
  return bus;
}

test("listeners get the events of their name, and one that throws does not keep others from theirs", async (t) => {
  const hub = await Hub.start(t);
  t.mock.method(console, "error", () => {});
  const bus = busOf(t, hub);
  const heard = [];
  bus.on("lead.*", () => {
    throw new Error("mine");
  });
  bus.on("lead.*", (payload, event) => heard.push(["family", event.type, payload.n]));
  bus.on("lead.created", (payload) => heard.push(["exact", payload.n]));
  const stop = bus.on("*", (_, event) => heard.push(["all", event.type]));
  await until("it knows its place", () => bus.position !== undefined);
  await hub.publish("lead.created", { n: 1 });
  await until("all were told", () => heard.length === 3);
  stop();
  await hub.publish("lead.lost", { n: 2 });
  await until("the family was told", () => heard.length === 4);
  assert.deepEqual(heard, [["family", "lead.created", 1], ["exact", 1], ["all", "lead.created"], ["family", "lead.lost", 2]]);
  assert.equal(bus.status.isConnected, true);
});

test("a bus that was closed, or lost its hub before anything came, gets what it missed", async (t) => {
  const hub = await Hub.start(t);
  const bus = busOf(t, hub, { backoff: { baseMs: 50, maxMs: 500 } });
  const heard = [];
  bus.on("n.*", (payload) => heard.push(payload.n));
  await until("it knows its place", () => bus.position !== undefined);
  bus.close();
  await hub.publish("n.a", { n: 1 });
  await hub.kill();
  bus.connect();
  await hub.again();
  await hub.publish("n.a", { n: 2 });
  await until("both came", () => heard.length >= 2);
  assert.deepEqual(heard, [1, 2]);
});

/** K-130 */
test("while the hub is away for a minute, attempts come at growing, jittered gaps; then nothing is missing", { timeout: 100_000 }, async (t) => {
  const hub = await Hub.start(t);
  const bus = busOf(t, hub);
  const heard = [];
  const attempts = [];
  const waits = [];
  bus.onStatus(() => {
    if (bus.status.state === "connecting") attempts.push(performance.now());
    if (bus.status.state === "waiting") waits.push(bus.status.retryInMs);
  });
  bus.on("n.*", (payload) => heard.push(payload.n));
  await until("it knows its place", () => bus.position !== undefined);
  let n = 0;
  for (; n < 3; n += 1) await hub.publish("n.a", { n });
  await until("the first came", () => heard.length === 3);
  // Open for long enough to count as settled.
  await until("the connection has settled", () => performance.now() - attempts[0] > 3_500);
  await hub.kill();
  const killed = performance.now();
  await until("a minute has passed", () => performance.now() - killed > 60_000, 70_000);
  const during = attempts.filter((at) => at > killed);
  const gaps = during.slice(1).map((at, i) => at - during[i]);
  assert.ok(during.length >= 6 && during.length <= 20, `${during.length} attempts`);
  // Equal jitter: a wait is between half and all of a time that doubles up to 10 s.
  for (const [i, wait] of waits.entries()) {
    const full = Math.min(10_000, 250 * 2 ** i);
    assert.ok(wait >= full / 2 && wait <= full, `wait ${i} is ${wait} of ${full}`);
  }
  for (const [i, gap] of gaps.entries()) assert.ok(gap >= waits[i + 1] - 5, `gap ${i} is ${gap}, shorter than ${waits[i + 1]}`);
  assert.ok(gaps.at(-1) > gaps[0] * 4, `they do not grow: ${gaps}`);
  assert.ok(new Set(waits.slice(-3)).size === 3, "no jitter");
  await hub.again();
  for (; n < 8; n += 1) await hub.publish("n.a", { n });
  await until("all came", () => heard.length >= 8);
  assert.deepEqual(heard, [0, 1, 2, 3, 4, 5, 6, 7]);
});
