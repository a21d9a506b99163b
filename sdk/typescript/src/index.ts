// Everything but the React hooks, which are in `@neo-protocol/nexus-sdk/react`.

export { BackendApi, backendApi, orThrow } from "./backend-api.js";
export type {
  BackendCommand,
  BackendError,
  BackendResponse,
  LeadQuery,
  NewAppointment,
  NewLead,
} from "./backend-api.js";
export type { Backoff } from "./backoff.js";
export { type Answered, type ClientOptions, HubClient, type Request } from "./client.js";
export type { ConnectionStatus } from "./connection.js";
export * from "./errors.js";
export { EventBus, type EventBusOptions, type EventBusStatus, eventBus, type Gap } from "./event-bus.js";
export type * from "./events.js";
export type { components, operations, paths } from "./generated/api.js";
export { type Dispatched, type DispatchOptions, Nexus, NexusHub, type NexusOptions } from "./nexus.js";
export { type MintPayload, type PaymentPayload, type PayloadOf, ProtocolEvent, type ProtocolPayloads } from "./protocol.js";
export { type Delivery, type Handler, type ReactorOptions, type Registration, RetryLater } from "./reactor.js";
export { type Resolved, resolve, type Settings } from "./settings.js";
