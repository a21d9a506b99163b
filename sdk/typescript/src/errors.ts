// Every refusal of a hub as a typed error: compare `code`, show `message`, and try again only when `retryable`.

/** The codes of a hub, with the status that each is answered with. */
export const ERROR_CODES = {
  MALFORMED: 400,
  UNKNOWN_EVENT: 400,
  UNKNOWN_COMMAND: 400,
  UNAUTHENTICATED: 401,
  FORBIDDEN: 403,
  NOT_FOUND: 404,
  METHOD_NOT_ALLOWED: 405,
  CONFLICT: 409,
  INVALID_TRANSITION: 409,
  IDEMPOTENCY_KEY_REUSED: 409,
  TOO_LARGE: 413,
  UNSUPPORTED_MEDIA_TYPE: 415,
  INVALID: 422,
  USE_TRANSITION: 422,
  RATE_LIMITED: 429,
  INTERNAL: 500,
  BAD_GATEWAY: 502,
  UNAVAILABLE: 503,
  TIMEOUT: 504,
} as const;

/** A code that a hub answers with. */
export type HubErrorCode = keyof typeof ERROR_CODES;
/** A code of the hub, or of this client: nobody answered, nobody who is trusted, not in time, or not as a hub does. */
export type ErrorCode = HubErrorCode | "UNREACHABLE" | "CERTIFICATE" | "LATE" | "UNREADABLE" | (string & {});

/** What is known of a failure. */
export interface ErrorFields {
  code: ErrorCode;
  message: string;
  status?: number | undefined;
  details?: Record<string, unknown> | undefined;
  retryable: boolean;
  requestId?: string | undefined;
  /** The hub asks to wait so long. */
  retryAfterMs?: number | undefined;
}

/** A call failed. */
export class NexusError extends Error {
  readonly code: ErrorCode;
  readonly status: number | undefined;
  readonly details: Record<string, unknown> | undefined;
  readonly retryable: boolean;
  readonly requestId: string | undefined;
  readonly retryAfterMs: number | undefined;

  constructor(fields: ErrorFields, options?: ErrorOptions) {
    super(fields.message, options);
    this.name = new.target.name;
    this.code = fields.code;
    this.status = fields.status;
    this.details = fields.details;
    this.retryable = fields.retryable;
    this.requestId = fields.requestId;
    this.retryAfterMs = fields.retryAfterMs;
  }
}

/** What was sent can't be read: not JSON, not an object, an unknown event or command. */
export class MalformedError extends NexusError {}
/** No proof of identity, or a wrong one. */
export class UnauthenticatedError extends NexusError {}
/** A scope is missing; the message names it. */
export class ForbiddenError extends NexusError {}
/** No such thing. */
export class NotFoundError extends NexusError {}
/** The route exists, the method does not. */
export class MethodNotAllowedError extends NexusError {}
/** The thing is not in the state that this needs. */
export class ConflictError extends NexusError {}
/** Larger than the limit that the message names. */
export class TooLargeError extends NexusError {}
/** A body type that this route does not take. */
export class UnsupportedMediaTypeError extends NexusError {}
/** A field is missing or wrong; `details` has one reason per field. */
export class InvalidError extends NexusError {}
/** Too many requests; `retryAfterMs` says when to come back. */
export class RateLimitedError extends NexusError {}
/** A defect of the hub. */
export class InternalError extends NexusError {}
/** Not now: the hub or what is behind it is busy, stopping or slow. */
export class UnavailableError extends NexusError {}
/** Nothing answers there, or nothing that is trusted. */
export class UnreachableError extends NexusError {}

const BY_STATUS: Record<number, typeof NexusError> = {
  400: MalformedError,
  401: UnauthenticatedError,
  403: ForbiddenError,
  404: NotFoundError,
  405: MethodNotAllowedError,
  409: ConflictError,
  413: TooLargeError,
  415: UnsupportedMediaTypeError,
  422: InvalidError,
  429: RateLimitedError,
  500: InternalError,
  502: UnavailableError,
  503: UnavailableError,
  504: UnavailableError,
};

/** The typed error for what is known of a failure. */
export function errorOf(fields: ErrorFields, cause?: unknown): NexusError {
  const known = (ERROR_CODES as Record<string, number>)[fields.code];
  const Kind =
    fields.code === "UNREACHABLE" || fields.code === "CERTIFICATE" || fields.code === "LATE"
      ? UnreachableError
      : (BY_STATUS[known ?? fields.status ?? 0] ?? NexusError);
  return new Kind(fields, cause === undefined ? undefined : { cause });
}

/** The error that an answer stands for, enveloped or bare. */
export function errorOfAnswer(status: number, body: unknown, headers?: Headers): NexusError {
  const top = isObject(body) ? body : {};
  const inner = isObject(top["error"]) ? top["error"] : {};
  const pick = (name: string): unknown => top[name] ?? inner[name];
  const after = Number(headers?.get("retry-after") ?? Number.NaN);
  const code = pick("code");
  const message = pick("message");
  const retryable = pick("retryable");
  const details = pick("details");
  const requestId = pick("requestId") ?? headers?.get("x-request-id");
  return errorOf({
    code: typeof code === "string" ? code : "UNREADABLE",
    message: typeof message === "string" ? message : `the hub answered ${status} without a reason`,
    status,
    details: isObject(details) ? details : undefined,
    retryable: typeof retryable === "boolean" ? retryable : [429, 502, 503, 504].includes(status),
    requestId: typeof requestId === "string" ? requestId : undefined,
    retryAfterMs: Number.isFinite(after) ? after * 1000 : undefined,
  });
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
