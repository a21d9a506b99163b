// HTTP calls to one hub: token, envelope, errors, and repeats where they are harmless.

import { wait } from "./backoff.js";
import { errorOf, errorOfAnswer, isObject, NexusError } from "./errors.js";
import { type Resolved, resolve, type Settings } from "./settings.js";

/** Settings of a client. */
export interface ClientOptions extends Settings {
  /** How long one request may take, in ms; 30,000 when absent. */
  timeoutMs?: number;
  /** How often a refusal that says it is retryable is tried again; 2 when absent. */
  retries?: number;
  /** Another `fetch`. */
  fetch?: typeof globalThis.fetch;
}

/** One request. */
export interface Request {
  method?: string;
  body?: unknown;
  headers?: Record<string, string>;
  /** Sending it twice does no harm; true for GET, PUT and DELETE. */
  idempotent?: boolean;
  timeoutMs?: number;
  signal?: AbortSignal;
}

/** An answer with what stands beside its data. */
export interface Answered<T> {
  data: T;
  /** The whole body. */
  body: Record<string, unknown>;
  requestId: string;
}

/** A client of one hub. */
export class HubClient {
  readonly #options: ClientOptions;
  #resolved: Resolved | undefined;

  constructor(options: ClientOptions = {}) {
    this.#options = options;
  }

  /** Where the hub is, and the token; looked for at the first use. */
  get where(): Resolved {
    this.#resolved ??= resolve(this.#options);
    return this.#resolved;
  }

  /** Sends a request and gives the data of its answer. Failures are `NexusError`s. */
  async call<T = unknown>(path: string, request: Request = {}): Promise<T> {
    return (await this.answered<T>(path, request)).data;
  }

  /** As `call`, with the whole body. */
  async answered<T = unknown>(path: string, request: Request = {}): Promise<Answered<T>> {
    const method = request.method ?? (request.body === undefined ? "GET" : "POST");
    const harmless = request.idempotent ?? ["GET", "PUT", "DELETE"].includes(method);
    const most = this.#options.retries ?? 2;
    for (let attempt = 0; ; attempt += 1) {
      try {
        return await this.#once<T>(path, method, request);
      } catch (error) {
        // 429 was refused before anything was done.
        const again = error instanceof NexusError && error.retryable && (harmless || error.status === 429);
        if (!again || attempt >= most || request.signal?.aborted) throw error;
        await wait(error.retryAfterMs ?? 200 * 2 ** attempt * (0.5 + Math.random()), request.signal);
      }
    }
  }

  async #once<T>(path: string, method: string, request: Request): Promise<Answered<T>> {
    const { url, token } = this.where;
    const headers: Record<string, string> = { accept: "application/json", "x-request-id": crypto.randomUUID() };
    // A route takes one kind of proof only.
    if (token !== undefined && request.headers?.["x-nexus-signature"] === undefined) {
      headers["authorization"] = `Bearer ${token}`;
    }
    if (request.body !== undefined) headers["content-type"] = "application/json";
    Object.assign(headers, request.headers);
    const limit = request.timeoutMs ?? this.#options.timeoutMs ?? 30_000;
    const late = AbortSignal.timeout(limit);
    const signal = request.signal === undefined ? late : AbortSignal.any([late, request.signal]);
    const body = typeof request.body === "string" ? request.body : JSON.stringify(request.body);
    const send = this.#options.fetch ?? globalThis.fetch;
    let answer: Response;
    let text: string;
    try {
      answer = await send(`${url}${path}`, { method, headers, signal, ...(request.body === undefined ? {} : { body }) });
      text = await answer.text();
    } catch (error) {
      if (request.signal?.aborted) throw error;
      if (!late.aborted && CERTIFICATE.test(codeOf(error))) {
        const message =
          `the certificate of the hub at ${url} is not trusted: ${reasonOf(error)}; if an authority of your own has signed ` +
          "it, start Node with NODE_EXTRA_CA_CERTS naming a PEM file with that one's certificate";
        throw errorOf({ code: "CERTIFICATE", message, retryable: false }, error);
      }
      const reason = late.aborted ? `did not answer within ${limit} ms` : `can't be reached: ${reasonOf(error)}`;
      const code = late.aborted ? "LATE" : "UNREACHABLE";
      throw errorOf({ code, message: `the hub at ${url} ${reason}`, retryable: true }, error);
    }
    let parsed: unknown;
    try {
      parsed = JSON.parse(text);
    } catch (error) {
      if (!answer.ok) throw errorOfAnswer(answer.status, undefined, answer.headers);
      const message = `what answers at ${url} is no hub: its answer is no JSON`;
      throw errorOf({ code: "UNREADABLE", message, status: answer.status, retryable: false }, error);
    }
    if (!answer.ok) throw errorOfAnswer(answer.status, parsed, answer.headers);
    const whole = isObject(parsed) ? parsed : {};
    const data = "success" in whole && "data" in whole ? whole["data"] : parsed;
    return { data: data as T, body: whole, requestId: answer.headers.get("x-request-id") ?? "" };
  }
}

/** Node's names for what can be wrong with a certificate. Browsers tell a page nothing of it. */
const CERTIFICATE =
  /^(CERT_|ERR_TLS_CERT_|SELF_SIGNED_|DEPTH_ZERO_|UNABLE_TO_GET_ISSUER|UNABLE_TO_VERIFY_LEAF|HOSTNAME_MISMATCH|INVALID_CA|INVALID_PURPOSE)/;

/** `fetch` hides what happened behind "fetch failed". */
function innermost(error: unknown): unknown {
  let inner = error;
  while (inner instanceof Error && inner.cause !== undefined) inner = inner.cause;
  return inner;
}

function codeOf(error: unknown): string {
  const inner = innermost(error);
  return isObject(inner) && typeof inner["code"] === "string" ? inner["code"] : "";
}

function reasonOf(error: unknown): string {
  const inner = innermost(error);
  if (inner instanceof Error) return inner.message || ((inner as { code?: string }).code ?? inner.name);
  return String(inner);
}
