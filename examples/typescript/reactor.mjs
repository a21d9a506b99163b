// Payment → mint → notification, with two durable reactors. Needs a hub (`nexus serve`) and the SDK:
//
//   npm install ../../sdk/typescript && node reactor.mjs
//
// Kill it at any point and start it again: what was not finished goes on.

import { Nexus, ProtocolEvent, RetryLater } from "@neo-protocol/nexus-sdk";

Nexus.configure({ group: "example" });

const payments = Nexus.onEvent(ProtocolEvent.PAYMENT_RECEIVED, async (payment, delivery) => {
  if (payment.amount <= 0) throw new Error("a payment of nothing");
  // A service that is busy: come again in a moment.
  if (delivery.attempt === 1) throw new RetryLater(200);
  console.log(`attempt ${delivery.attempt}: minting ${payment.amount} for ${payment.payerId}`);
  // The payment's id makes the mint the same one at every attempt.
  await Nexus.dispatch(ProtocolEvent.MINT_CONFIRMED, { address: payment.payerId, txHash: "0x1" }, { id: `mint-${delivery.id}` });
});

const mints = Nexus.onEvent(ProtocolEvent.MINT_CONFIRMED, async (mint) => {
  console.log(`minted for ${mint.address}`);
  setTimeout(() => Nexus.close(), 100);
});

await Promise.all([payments.ready, mints.ready]);
const sent = await Nexus.dispatch(ProtocolEvent.PAYMENT_RECEIVED, { payerId: "0xabc", amount: 25 });
console.log(`paid: event ${sent.id}, seq ${sent.seq}`);
