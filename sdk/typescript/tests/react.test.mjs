// The hooks, drawn without a page, against a real hub.

import assert from "node:assert/strict";
import test from "node:test";
import { EventBus } from "@neo-protocol/nexus-sdk";
import { EventBusProvider, useBackendEvent, useEventBusConnection } from "@neo-protocol/nexus-sdk/react";
import { createElement, useState } from "react";
import { act, create } from "react-test-renderer";

import { Hub, until } from "./hub.mjs";

globalThis.IS_REACT_ACT_ENVIRONMENT = false;

function Amounts() {
  const [amounts, setAmounts] = useState([]);
  const { state, isConnected } = useEventBusConnection();
  useBackendEvent("payment.received", (payload) => setAmounts([...amounts, payload.amount]));
  return createElement("p", null, `${state} ${isConnected} ${amounts.join(",")}`);
}

test("a component shows events and the state of the connection, and stops with it", async (t) => {
  t.mock.method(console, "error", () => {});
  const hub = await Hub.start(t);
  const bus = new EventBus({ ...hub.where, backoff: { baseMs: 50, maxMs: 200 } });
  t.after(() => bus.close());
  let page;
  act(() => {
    page = create(createElement(EventBusProvider, { bus }, createElement(Amounts)));
  });
  const shows = (text) => until(`it shows ${text}`, () => page.toJSON()?.children[0] === text);
  await shows("open true ");
  await until("it knows its place", () => bus.position !== undefined);
  await hub.publish("payment.received", { amount: 5 });
  await shows("open true 5");
  await hub.publish("payment.received", { amount: 7 });
  await shows("open true 5,7");
  await hub.kill();
  await until("it shows that the hub is away", () => page.toJSON().children[0].includes("false 5,7"));
  await hub.again();
  await hub.publish("payment.received", { amount: 9 });
  await shows("open true 5,7,9");
  act(() => page.unmount());
  let heard = 0;
  bus.on("payment.received", () => {
    heard += 1;
  });
  await hub.publish("payment.received", { amount: 11 });
  await until("another listener hears it", () => heard === 1);
  bus.close();
});
