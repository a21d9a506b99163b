// A durable reactor: a subscription of the hub that this program consumes. What its handler does not finish comes again.

import { delay as growing, wait } from "./backoff.js";
import type { HubClient } from "./client.js";
import { Connection, type ConnectionStatus, socketUrl } from "./connection.js";
import { errorOfAnswer, NexusError } from "./errors.js";
import { unref } from "./platform.js";

/** What a handler is told beside the payload. */
export interface Delivery<P = unknown> {
  /** The event's name in the form that was asked for. */
  event: string;
  /** Its canonical topic. */
  topic: string;
  payload: P;
  /** The event's id: the same at every attempt, so that a repeat can be recognised. */
  id: string;
  seq: number;
  /** Which attempt, from 1. */
  attempt: number;
  /** When the event was stored, ms since the epoch. */
  timestamp: number;
  /** The same at every attempt of this delivery. */
  deliveryId: string;
  source?: string;
  subject?: string;
  correlationId?: string;
  /** The replay that it belongs to. */
  replay?: number;
  /** Aborted when the delivery is not this program's any more: another may have it already. */
  signal: AbortSignal;
}

/** Reacts to an event. When it resolves the event is acknowledged; when it throws, the event comes again. */
export type Handler<P> = (payload: P, delivery: Delivery<P>) => unknown;

/** Thrown by a handler: the event is to come again after so many ms, instead of by the retry schedule. */
export class RetryLater extends Error {
  readonly delayMs: number;
  constructor(delayMs: number, reason = "later") {
    super(reason);
    this.name = "RetryLater";
    this.delayMs = delayMs;
  }
}

/** Settings of a reactor. */
export interface ReactorOptions {
  /** Name of the hub's subscription. Programs that use the same one share its events. */
  name?: string;
  /** Handlers running at once; 8 when absent. */
  concurrency?: number;
  /** One after the other for each key (screened jq; the event's subject or source when `true`). */
  ordered?: boolean | string;
  /** Attempts until an event is a dead letter; 10 when absent. */
  maxAttempts?: number;
  /** Waits between attempts, `1s,5s,30s`; growing by themselves when absent. */
  retry?: string;
  /** Time of one attempt, in ms. It is extended for as long as the handler runs, so that it is the time after which a
   * program that died is noticed without its connection having ended. */
  leaseMs?: number;
  /** Begin after this seq of the log when the subscription is new; the present when absent. */
  since?: number;
  /** Screened jq over `{event, payload, …}`, true for what is wanted. */
  predicate?: string;
}

/** What reports problems; `console.error` when absent. */
export type Report = (error: unknown, delivery?: Delivery) => void;

/** A reactor at work. */
export interface Registration {
  /** The name of the hub's subscription. */
  readonly name: string;
  /** Resolves when events from now on are sure to be handled. */
  readonly ready: Promise<void>;
  /** Takes no more events and waits for the handlers that run. */
  stop(): Promise<void>;
}

/** Reactors of one socket; the hub allows 32. */
const PER_SOCKET = 32;

interface Running {
  abort: AbortController;
  extend: ReturnType<typeof setInterval>;
  done: Promise<void>;
}

class Reactor implements Registration {
  readonly ready: Promise<void>;
  readonly running = new Map<string, Running>();
  readonly most: number;
  started!: () => void;
  failed!: (error: unknown) => void;
  stopped = false;

  constructor(
    readonly name: string,
    readonly definition: Record<string, unknown>,
    readonly handler: Handler<unknown>,
    concurrency: number,
    readonly end: (reactor: Reactor) => void,
  ) {
    this.most = concurrency;
    this.ready = new Promise((resolve, reject) => {
      this.started = resolve;
      this.failed = reject;
    });
    // Whoever does not wait for it hears of it by the report.
    this.ready.catch(() => {});
  }

  async stop(): Promise<void> {
    this.stopped = true;
    this.end(this);
    await Promise.allSettled([...this.running.values()].map((r) => r.done));
  }
}

/** The reactors that share a socket. */
class Desk {
  readonly reactors = new Map<string, Reactor>();
  readonly #connection: Connection;
  readonly #report: Report;

  constructor(client: HubClient, report: Report, status: (status: ConnectionStatus) => void) {
    this.#report = report;
    this.#connection = new Connection({
      url: () => ({ url: socketUrl(client.where.url, "/ws"), token: client.where.token }),
      opened: () => {
        for (const reactor of this.reactors.values()) this.#consume(reactor, reactor.most);
      },
      frame: (frame) => this.#frame(frame),
      lost: () => {
        // The hub has given them back.
        for (const reactor of this.reactors.values()) {
          for (const running of reactor.running.values()) running.abort.abort();
        }
      },
      status,
    });
  }

  add(reactor: Reactor): void {
    this.reactors.set(reactor.name, reactor);
    if (this.#connection.status.state === "open") this.#consume(reactor, reactor.most);
    else this.#connection.connect();
  }

  /** Takes no more for a reactor; what it holds it may finish. */
  release(reactor: Reactor): void {
    this.#consume(reactor, 0);
  }

  close(): void {
    this.#connection.close();
  }

  #consume(reactor: Reactor, max: number): void {
    this.#connection.send({ type: "consume", subscription: reactor.name, max: reactor.stopped ? 0 : max });
  }

  #frame(frame: Record<string, unknown>): void {
    const reactor = this.reactors.get(String(frame["subscription"]));
    switch (frame["type"]) {
      case "consuming":
        reactor?.started();
        break;
      case "delivery":
        if (reactor !== undefined) this.#deliver(reactor, frame);
        break;
      case "error": {
        const error = errorOfAnswer(0, frame);
        if (reactor !== undefined && !reactor.stopped) {
          reactor.failed(error);
          this.reactors.delete(reactor.name);
          reactor.end(reactor);
        }
        // One about a lease that ended is no news: the event comes again.
        if (frame["lease"] === undefined) this.#report(error);
        break;
      }
    }
  }

  #deliver(reactor: Reactor, frame: Record<string, unknown>): void {
    const lease = String(frame["lease"]);
    const abort = new AbortController();
    const every = Math.max(50, Number(frame["lease_ms"]) / 2);
    const extend = setInterval(() => this.#connection.send({ type: "extend", lease }), every);
    unref(extend);
    const done = this.#handle(reactor, lease, deliveryOf(frame, abort.signal));
    reactor.running.set(lease, { abort, extend, done });
  }

  async #handle(reactor: Reactor, lease: string, delivery: Delivery): Promise<void> {
    let answer: Record<string, unknown> = { type: "ack", lease };
    try {
      // Not in the middle of reading the socket: a handler that throws at once throws into its own promise.
      await Promise.resolve();
      await reactor.handler(delivery.payload, delivery);
    } catch (error) {
      const reason = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
      answer = { type: "nack", lease, reason: reason.slice(0, 400) };
      if (error instanceof RetryLater) answer["delay_ms"] = Math.max(0, Math.round(error.delayMs));
      else this.#report(error, delivery);
    }
    clearInterval(reactor.running.get(lease)?.extend);
    reactor.running.delete(lease);
    if (!delivery.signal.aborted) this.#connection.send(answer);
  }
}

function deliveryOf(frame: Record<string, unknown>, signal: AbortSignal): Delivery {
  const text = (name: string): string | undefined => {
    const value = frame[name];
    return typeof value === "string" ? value : undefined;
  };
  const subject = text("subject");
  const source = text("source");
  const correlationId = text("correlation_id");
  return {
    event: text("event") ?? "",
    topic: text("topic") ?? "",
    payload: frame["payload"],
    id: text("id") ?? "",
    seq: Number(frame["seq"]),
    attempt: Number(frame["attempt"]),
    timestamp: Math.round(Number(frame["timestamp"]) * 1000),
    deliveryId: text("delivery_id") ?? "",
    ...(source === undefined ? {} : { source }),
    ...(subject === undefined ? {} : { subject }),
    ...(correlationId === undefined ? {} : { correlationId }),
    ...(frame["replay"] === undefined ? {} : { replay: Number(frame["replay"]) }),
    signal,
  };
}

/** The reactors of one program. */
export class Reactors {
  readonly #client: HubClient;
  readonly #report: Report;
  readonly #status: (status: ConnectionStatus) => void;
  readonly #desks: Desk[] = [];
  readonly #all = new Map<string, Reactor>();
  readonly #closing = new AbortController();
  /** First attempts to make the subscriptions, so that what is dispatched afterwards is handled. */
  readonly #first = new Set<Promise<unknown>>();

  constructor(client: HubClient, report: Report, status: (status: ConnectionStatus) => void) {
    this.#client = client;
    this.#report = report;
    this.#status = status;
  }

  add(name: string, event: string, handler: Handler<unknown>, options: ReactorOptions): Registration {
    const concurrency = options.concurrency ?? 8;
    const reactor = new Reactor(name, definitionOf(event, options), handler, concurrency, (r) => this.#end(r));
    this.#all.set(name, reactor);
    let told!: () => void;
    const first = new Promise<void>((resolve) => {
      told = resolve;
    });
    this.#first.add(first);
    void first.then(() => this.#first.delete(first));
    void this.#start(reactor, told);
    return reactor;
  }

  has(name: string): boolean {
    return this.#all.has(name);
  }

  /** Resolves when every reactor's subscription was made, or could not be at the first attempt. */
  async settled(): Promise<void> {
    await Promise.all(this.#first);
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await Promise.all([...this.#all.values()].map((r) => r.stop()));
    for (const desk of this.#desks) desk.close();
  }

  async #start(reactor: Reactor, told: () => void): Promise<void> {
    for (let attempt = 0; !reactor.stopped; attempt += 1) {
      try {
        await this.#ensure(reactor);
        told();
        break;
      } catch (error) {
        told();
        if (!(error instanceof NexusError && error.retryable)) {
          reactor.failed(error);
          this.#end(reactor);
          return this.#report(error);
        }
        await wait(growing(attempt), this.#closing.signal);
      }
    }
    if (reactor.stopped) return;
    let desk = this.#desks.find((d) => d.reactors.size < PER_SOCKET);
    if (desk === undefined) {
      desk = new Desk(this.#client, this.#report, this.#status);
      this.#desks.push(desk);
    }
    desk.add(reactor);
  }

  async #ensure(reactor: Reactor): Promise<void> {
    const path = `/api/v1/subscriptions/${encodeURIComponent(reactor.name)}`;
    try {
      await this.#client.call(path, { method: "PUT", body: reactor.definition });
    } catch (error) {
      // A token that may only consume: somebody else has made it, or consuming says that there is none.
      if (error instanceof NexusError && error.code === "FORBIDDEN") return;
      throw error;
    }
  }

  #end(reactor: Reactor): void {
    if (this.#all.get(reactor.name) === reactor) this.#all.delete(reactor.name);
    for (const desk of this.#desks) {
      if (desk.reactors.get(reactor.name) === reactor) desk.release(reactor);
    }
  }
}

function definitionOf(event: string, options: ReactorOptions): Record<string, unknown> {
  const ordered = options.ordered !== undefined && options.ordered !== false;
  return {
    filters: [event],
    target: { kind: "consumer" },
    ...(ordered ? { ordered: true } : {}),
    ...(typeof options.ordered === "string" ? { key: options.ordered } : {}),
    ...(options.predicate === undefined ? {} : { predicate: options.predicate }),
    ...(options.maxAttempts === undefined ? {} : { max_attempts: options.maxAttempts }),
    ...(options.retry === undefined ? {} : { retry: options.retry }),
    ...(options.leaseMs === undefined ? {} : { timeout_ms: options.leaseMs }),
    ...(options.since === undefined ? {} : { since: options.since }),
  };
}
