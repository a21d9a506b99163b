// The vocabulary of the protocol's events. More names may be registered with the hub; any text is taken.

/** Events that every hub knows. */
export enum ProtocolEvent {
  PAYMENT_RECEIVED = "PAYMENT_RECEIVED",
  PAYMENT_FAILED = "PAYMENT_FAILED",
  MINT_REQUESTED = "MINT_REQUESTED",
  MINT_CONFIRMED = "MINT_CONFIRMED",
  MINT_FAILED = "MINT_FAILED",
}

/** A payment, as FlowPay reports it. */
export interface PaymentPayload {
  transactionId?: string;
  orderId?: string;
  amount: number;
  payerId: string;
  currency?: string;
  status?: string;
  metadata?: Record<string, unknown>;
}

/** A mint, as Smart Factory reports it. */
export interface MintPayload {
  contractAddress?: string;
  txHash?: string;
  address?: string;
  amount?: number;
  status?: string;
}

/** The payloads of the protocol's events. */
export interface ProtocolPayloads {
  PAYMENT_RECEIVED: PaymentPayload;
  PAYMENT_FAILED: PaymentPayload;
  MINT_REQUESTED: MintPayload;
  MINT_CONFIRMED: MintPayload;
  MINT_FAILED: MintPayload;
}

/** The payload of an event, where its name is known. */
export type PayloadOf<E extends string> = `${E}` extends keyof ProtocolPayloads ? ProtocolPayloads[`${E}`] : any;
