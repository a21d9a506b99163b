// Events as they happen, for displays: a socket that comes back and goes on where it stopped.

import type { Backoff } from "./backoff.js";
import { HubClient } from "./client.js";
import { Connection, type ConnectionStatus, socketUrl } from "./connection.js";
import type { BackendEvent, EventPayload } from "./events.js";
import { env } from "./platform.js";
import type { Settings } from "./settings.js";

/** Settings of a bus. */
export interface EventBusOptions extends Settings {
  /** Address of the socket; else `NEXT_PUBLIC_WS_URL`, else `/api/v1/events/ws` of the hub. */
  wsUrl?: string;
  /** Topic filters; everything that the token may see when absent. */
  filters?: string[];
  /** Begin after this place of the log (`epoch:seq`, or a seq) instead of now. */
  since?: string | number;
  /** Waits between attempts to connect. */
  backoff?: Backoff;
}

/** How the bus stands. */
export interface EventBusStatus extends ConnectionStatus {
  isConnected: boolean;
}

/** Events that can't be had any more. */
export interface Gap {
  from: number;
  to: number;
  reason: string;
}

type Listener = (payload: never, event: BackendEvent) => void;

/** A topic that nobody publishes: subscribing to it makes the hub say where the log stands. */
const NOWHERE = "nexus-sdk.position";

/** A bus. It connects when somebody listens, or by `connect`. */
export class EventBus {
  readonly #options: EventBusOptions;
  readonly #client: HubClient;
  readonly #connection: Connection;
  readonly #listeners = new Map<string, Set<Listener>>();
  readonly #watchers = new Set<() => void>();
  readonly #gaps = new Set<(gap: Gap) => void>();
  #status: EventBusStatus = { state: "idle", attempt: 0, isConnected: false };
  #epoch: string | undefined;
  #seq: number | undefined;
  #since: string | undefined;

  constructor(options: EventBusOptions = {}) {
    this.#options = options;
    this.#client = new HubClient(options);
    this.#since = options.since?.toString();
    this.#connection = new Connection(
      {
        url: () => ({ url: this.#url(), token: this.#client.where.token }),
        // Without a place to go on from, what comes between losing this connection and the next would be missed.
        opened: () => this.#connection.send({ type: "subscribe", topics: [NOWHERE] }),
        frame: (frame) => this.#frame(frame),
        status: (status) => {
          this.#status = { ...status, isConnected: status.state === "open" };
          for (const watcher of this.#watchers) watcher();
        },
      },
      options.backoff,
    );
  }

  /** How it stands; another object whenever that changes. */
  get status(): EventBusStatus {
    return this.#status;
  }

  /** Where it would go on: `epoch:seq`, once known. */
  get position(): string | undefined {
    if (this.#seq === undefined) return this.#since;
    return this.#epoch === undefined ? `${this.#seq}` : `${this.#epoch}:${this.#seq}`;
  }

  /** Connects, if it is not connected or connecting. */
  connect(): void {
    this.#connection.connect();
  }

  /** Disconnects. What happens meanwhile comes after the next `connect`. */
  close(): void {
    this.#connection.close();
  }

  /** Calls `listener` with each event of this name; `*` for all, `lead.*` for all of a family. Ends by what it returns. */
  on<T extends string>(type: T, listener: (payload: EventPayload<T>, event: BackendEvent<EventPayload<T>>) => void): () => void {
    const set = this.#listeners.get(type) ?? new Set<Listener>();
    this.#listeners.set(type, set);
    const own: Listener = (payload, event) => listener(payload, event as BackendEvent<EventPayload<T>>);
    set.add(own);
    if (this.#status.state === "idle") this.connect();
    return () => {
      set.delete(own);
      if (set.size === 0) this.#listeners.delete(type);
    };
  }

  /** Calls `listener` when the status changes. */
  onStatus(listener: () => void): () => void {
    this.#watchers.add(listener);
    return () => this.#watchers.delete(listener);
  }

  /** Calls `listener` when events can't be had any more, so that a display can be loaded anew. */
  onGap(listener: (gap: Gap) => void): () => void {
    this.#gaps.add(listener);
    return () => this.#gaps.delete(listener);
  }

  #url(): string {
    const published = typeof process === "undefined" ? undefined : process.env?.["NEXT_PUBLIC_WS_URL"];
    const named = this.#options.wsUrl ?? (this.#options.url === undefined ? env("NEXT_PUBLIC_WS_URL") || published : undefined);
    const url = new URL(named || socketUrl(this.#client.where.url, "/api/v1/events/ws"));
    for (const filter of this.#options.filters ?? []) url.searchParams.append("filter", filter);
    const since = this.position;
    if (since !== undefined) url.searchParams.set("since", since);
    return url.toString();
  }

  #frame(frame: Record<string, unknown>): void {
    const { type, seq } = frame;
    if (type === "subscribed") return this.#located(String(frame["position"] ?? ""));
    if (type === "stream.gap") return this.#gap(frame["payload"] as Gap);
    if (typeof type !== "string" || typeof seq !== "number") return;
    // What came before the connection was lost may come once more.
    if (this.#seq !== undefined && seq <= this.#seq) return;
    this.#seq = seq;
    const event = frame as unknown as BackendEvent;
    for (const [name, listeners] of this.#listeners) {
      if (!matches(name, type)) continue;
      for (const listener of [...listeners]) {
        try {
          listener(event.payload as never, event);
        } catch (error) {
          // One listener's mistake is not the others'.
          console.error("nexus: a listener of", name, "threw", error);
        }
      }
    }
  }

  /** The hub says where the log stands: in which epoch, and at which seq when nothing came yet. */
  #located(position: string): void {
    this.#connection.send({ type: "unsubscribe", topic: NOWHERE });
    const [epoch, seq] = position.split(":");
    if (epoch === undefined || seq === undefined) return;
    this.#epoch = epoch;
    if (this.#seq === undefined && this.#since === undefined) this.#seq = Number(seq);
  }

  #gap(gap: Gap): void {
    // After a restore the log may be shorter than it was.
    this.#seq = gap.to;
    for (const listener of [...this.#gaps]) listener(gap);
  }
}

/** Whether an event of this name is meant. */
function matches(asked: string, type: string): boolean {
  if (asked === type || asked === "*" || asked === ">" || asked === "**") return true;
  if (!asked.includes("*") && !asked.includes(">")) return false;
  const want = asked.split(".");
  const have = type.split(".");
  for (const [i, segment] of want.entries()) {
    if (segment === ">" || segment === "**") return have.length > i;
    if (have[i] === undefined || (segment !== "*" && segment !== have[i])) return false;
  }
  return want.length === have.length;
}

/** The bus that environment and token file name. */
export const eventBus = new EventBus();
