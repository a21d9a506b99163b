// A socket that comes back: it reconnects with growing, jittered waits until it is closed or the hub refuses it for good.

import { type Backoff, delay } from "./backoff.js";
import { isObject } from "./errors.js";
import { onOnline, openSocket, type SocketLike } from "./platform.js";

/** How a connection stands. */
export interface ConnectionStatus {
  state: "idle" | "connecting" | "open" | "waiting" | "closed";
  /** Attempts since it was last open. */
  attempt: number;
  /** While waiting: how long until the next attempt, in ms. */
  retryInMs?: number;
  /** Why it is not open. */
  reason?: string;
}

/** What a user of a connection supplies. */
export interface ConnectionHooks {
  /** Where to connect, asked at each attempt. */
  url(): { url: string; token: string | undefined };
  /** The socket is open. */
  opened(): void;
  /** A frame came. */
  frame(frame: Record<string, unknown>): void;
  /** The socket is gone; another attempt follows unless the status is `closed`. */
  lost?(): void;
  status?(status: ConnectionStatus): void;
}

/** A connection on which nothing was heard for so long is given up; the hub pings every 20 s, which browsers do not show,
 * so that a frame is asked for after half of it. */
const QUIET_MS = 40_000;

/** A connection that lasted so long was a good one: the waits begin anew. */
const SETTLED_MS = 3_000;

/** The connection. */
export class Connection {
  readonly #hooks: ConnectionHooks;
  readonly #backoff: Backoff;
  #socket: SocketLike | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #watch: ReturnType<typeof setInterval> | undefined;
  #heard = 0;
  #opened: number | undefined;
  #attempt = 0;
  #status: ConnectionStatus = { state: "idle", attempt: 0 };
  #offline: (() => void) | undefined;

  constructor(hooks: ConnectionHooks, backoff: Backoff = {}) {
    this.#hooks = hooks;
    this.#backoff = backoff;
  }

  get status(): ConnectionStatus {
    return this.#status;
  }

  /** Connects, if it is not connected or connecting. */
  connect(): void {
    if (this.#status.state !== "idle" && this.#status.state !== "closed") return;
    this.#attempt = 0;
    this.#offline = onOnline(() => this.#now());
    this.#open();
  }

  /** Sends a frame; false when there is no open socket. */
  send(frame: unknown): boolean {
    if (this.#status.state !== "open" || this.#socket === undefined) return false;
    this.#socket.send(JSON.stringify(frame));
    return true;
  }

  /** Ends it. */
  close(reason?: string): void {
    this.#offline?.();
    clearTimeout(this.#timer);
    this.#drop();
    if (this.#status.state !== "closed") {
      this.#say({ state: "closed", attempt: this.#attempt, ...(reason === undefined ? {} : { reason }) });
    }
  }

  #say(status: ConnectionStatus): void {
    this.#status = status;
    this.#hooks.status?.(status);
  }

  #now(): void {
    if (this.#status.state !== "waiting") return;
    clearTimeout(this.#timer);
    this.#open();
  }

  #open(): void {
    this.#attempt += 1;
    this.#say({ state: "connecting", attempt: this.#attempt });
    let socket: SocketLike;
    let why = "the connection was closed";
    try {
      const { url, token } = this.#hooks.url();
      socket = openSocket(url, token);
    } catch (error) {
      // A URL that is none does not get better.
      return this.close(error instanceof Error ? error.message : String(error));
    }
    this.#socket = socket;
    socket.onopen = () => {
      this.#heard = this.#opened = Date.now();
      this.#watch = setInterval(() => this.#look(), QUIET_MS / 4);
      this.#say({ state: "open", attempt: 0 });
      this.#hooks.opened();
    };
    socket.onmessage = ({ data }) => {
      this.#heard = Date.now();
      const frame = read(data);
      if (frame !== undefined) this.#hooks.frame(frame);
    };
    socket.onerror = ({ message }) => {
      if (message) why = message;
    };
    socket.onclose = ({ code, reason }) => {
      if (this.#socket !== socket) return;
      this.#lost(reason ? `${code} ${reason}` : why);
    };
  }

  #look(): void {
    const silent = Date.now() - this.#heard;
    if (silent > QUIET_MS) this.#lost("nothing was heard any more");
    else if (silent > QUIET_MS / 2) this.send({ type: "ping" });
  }

  #drop(): void {
    clearInterval(this.#watch);
    const socket = this.#socket;
    this.#socket = undefined;
    if (socket === undefined) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    // A socket that is closed before it is open reports that as an error, which nobody needs.
    socket.onerror = () => {};
    socket.close(1000);
  }

  #lost(reason: string): void {
    this.#drop();
    // One that is opened and closed at once has not come back yet.
    if (this.#opened !== undefined && Date.now() - this.#opened > SETTLED_MS) this.#attempt = 0;
    this.#opened = undefined;
    const retryInMs = delay(this.#attempt, this.#backoff);
    this.#say({ state: "waiting", attempt: this.#attempt, retryInMs, reason });
    this.#hooks.lost?.();
    // Whoever listens may have closed it.
    if ((this.#status.state as string) !== "waiting") return;
    this.#timer = setTimeout(() => this.#open(), retryInMs);
  }
}

function read(data: unknown): Record<string, unknown> | undefined {
  try {
    const frame: unknown = JSON.parse(String(data));
    return isObject(frame) ? frame : undefined;
  } catch {
    return undefined;
  }
}

/** `http://host` as `ws://host`. */
export function socketUrl(url: string, path: string): string {
  return url.replace(/^http/, "ws") + path;
}

