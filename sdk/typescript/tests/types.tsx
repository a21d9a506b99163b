// What must compile, and what must not. Nothing here runs.

import { backendApi, EventBus, type LeadStatus, Nexus, ProtocolEvent, type components } from "../src/index.js";
import { useBackendEvent, useEventBusConnection } from "../src/react.js";

Nexus.onEvent(ProtocolEvent.PAYMENT_RECEIVED, async (payload) => {
  const amount: number = payload.amount;
  // @ts-expect-error a payment has no such field
  return amount + payload.nonsense;
});
Nexus.onEvent("order.created", (payload) => payload.whatever.it.carries);
// @ts-expect-error a payment has a payer
void Nexus.dispatch(ProtocolEvent.PAYMENT_RECEIVED, { amount: 5 });

export async function lead(): Promise<void> {
  const response = await backendApi.createLead({ name: "A", phone: "+1", source: "permit", status: "new", priority: "hot" });
  const id: string | undefined = response.data?.id;
  // @ts-expect-error it may have failed
  const sure: string = response.data.id;
  void [id, sure];
}

export function Component({ set }: { set: (status: LeadStatus) => void }) {
  useBackendEvent("lead.status_changed", (payload) => set(payload.lead.status));
  return <p>{useEventBusConnection().state}</p>;
}

new EventBus().on("lead.*", (payload, event) => void [payload, event.seq]);

// The types of the API are those that the hub describes.
export const delivery: components["schemas"]["ConsumerDelivery"]["attempt"] = 1;
