// `Nexus`: dispatch events, react to events. Both durably: what is dispatched is on the hub's disk, what is handled is
// acknowledged by the handler.

import { type ClientOptions, HubClient } from "./client.js";
import type { ConnectionStatus } from "./connection.js";
import { errorOf } from "./errors.js";
import { env } from "./platform.js";
import type { PayloadOf } from "./protocol.js";
import { type Handler, type ReactorOptions, Reactors, type Registration, type Report } from "./reactor.js";

/** Settings of `Nexus`. */
export interface NexusOptions extends ClientOptions {
  /** Names the program among those that react: programs of one group share events, each group gets all of them. Else
   * `NEXUS_GROUP`, else the package's name where npm or its like says it, else `app`. */
  group?: string;
  /** Secret of a source, for programs that have no token; else `NEXUS_SECRET_KEY`. */
  secret?: string;
  /** Which source that secret is of; the hub finds it by the secret when absent. */
  source?: string;
  /** Hears of handlers that threw and of reactors that could not begin. */
  onError?: Report;
  /** Hears of the connection. */
  onStatus?: (status: ConnectionStatus) => void;
}

/** How one event is dispatched. */
export interface DispatchOptions {
  /** Makes a repeat harmless: the same id is stored once. A new one when absent. */
  id?: string;
  priority?: "LOW" | "NORMAL" | "HIGH" | "CRITICAL";
  /** What the event is about: the key of ordered reactors. */
  subject?: string;
  correlationId?: string;
}

/** An event as the hub has stored it. */
export interface Dispatched {
  id: string;
  event: string;
  seq: number;
}

/** A hub, as programs that dispatch and react see it. */
export class NexusHub {
  #options: NexusOptions;
  #client: HubClient;
  #reactors: Reactors | undefined;

  constructor(options: NexusOptions = {}) {
    this.#options = options;
    this.#client = new HubClient(options);
  }

  /** Sets what is not to be found in the environment. Before the first use. */
  configure(options: NexusOptions): this {
    if (this.#reactors !== undefined) throw new Error("configure before the first onEvent, or make a hub of your own: new NexusHub(…)");
    this.#options = { ...this.#options, ...options };
    this.#client = new HubClient(this.#options);
    return this;
  }

  /** The client that calls go through. */
  get client(): HubClient {
    return this.#client;
  }

  /** Stores an event. When it resolves, the event is on the hub's disk and will be delivered. */
  async dispatch<E extends string>(event: E, payload: PayloadOf<E>, options: DispatchOptions = {}): Promise<Dispatched> {
    // Reactors that were registered before are to see it, also where the hub has yet to hear of them.
    await this.#reactors?.settled();
    const id = options.id ?? crypto.randomUUID();
    const { token } = this.#client.where;
    const secret = this.#options.secret ?? env("NEXUS_SECRET_KEY");
    const more = {
      ...(options.priority === undefined ? {} : { priority: options.priority }),
      ...(options.subject === undefined ? {} : { subject: options.subject }),
    };
    const lineage = options.correlationId === undefined ? {} : { "x-correlation-id": options.correlationId };
    if (token === undefined && secret !== undefined) {
      const body = JSON.stringify({ event, payload, id, ...more });
      const source = this.#options.source === undefined ? {} : { "x-nexus-source": this.#options.source };
      const headers = { "x-nexus-signature": await sign(secret, body), ...source, ...lineage };
      return this.#client.call<Dispatched>("/events", { body, headers, idempotent: true });
    }
    const path = `/events/${encodeURIComponent(event)}`;
    const headers = { "idempotency-key": id, ...lineage };
    const request = { body: { payload, ...more }, headers, idempotent: true };
    const stored = await this.#client.call<{ message_id: string; topic: string; seq: number }>(path, request);
    return { id: stored.message_id, event, seq: stored.seq };
  }

  /** Calls `handler` with each event of this name (or filter: `order.*`), durably: what comes while the program is down is
   * handled when it is back, and what the handler does not finish comes again, until it is a dead letter. */
  onEvent<E extends string>(event: E, handler: Handler<PayloadOf<E>>, options: ReactorOptions = {}): Registration {
    if (typeof handler !== "function") throw new TypeError("onEvent takes an event and a function that handles it");
    this.#reactors ??= new Reactors(
      this.#client,
      this.#options.onError ?? ((error) => console.error("nexus:", error)),
      (status) => this.#options.onStatus?.(status),
    );
    const name = options.name ?? this.#nameOf(event);
    if (this.#reactors.has(name)) {
      const message = `there is a reactor ${name} already; give this one another name`;
      throw errorOf({ code: "CONFLICT", message, retryable: false });
    }
    return this.#reactors.add(name, event, handler as Handler<unknown>, options);
  }

  /** Takes no more events, waits for the handlers that run, and disconnects. */
  async close(): Promise<void> {
    const reactors = this.#reactors;
    this.#reactors = undefined;
    await reactors?.close();
  }

  /** The same event gets the same subscription at every start, so that a program goes on where it stopped. */
  #nameOf(event: string): string {
    const group = plain(this.#options.group ?? env("NEXUS_GROUP") ?? env("npm_package_name") ?? "app", 24);
    const short = plain(event.replaceAll("**", "rest").replaceAll(">", "rest").replaceAll("*", "any"), 36);
    const name = `${group}.${short}`;
    for (let n = 2; ; n += 1) {
      const next = n === 2 ? name : `${name}-${n - 1}`;
      if (!this.#reactors?.has(next)) return next;
    }
  }
}

/** Characters that a subscription's name may have. */
function plain(text: string, most: number): string {
  return text.toLowerCase().replace(/[^a-z0-9_.-]+/g, "-").replace(/^-+/, "").slice(0, most);
}

/** Lower-case hex HMAC-SHA256 over the text. */
async function sign(secret: string, text: string): Promise<string> {
  const encoder = new TextEncoder();
  const algorithm = { name: "HMAC", hash: "SHA-256" };
  const key = await crypto.subtle.importKey("raw", encoder.encode(secret), algorithm, false, ["sign"]);
  const signature = new Uint8Array(await crypto.subtle.sign("HMAC", key, encoder.encode(text)));
  return Array.from(signature, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** The hub that environment and token file name. */
export const Nexus = new NexusHub();
