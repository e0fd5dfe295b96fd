/**
 * The one catalogue of errors. A code never changes its meaning or its status; the public sentence may.
 * `agentInstruction` tells a program that reads the answer what to do next.
 */
export const ERROR_CATALOG = {
  bad_request: { status: 400, title: "Bad request", agentInstruction: "Correct the request; do not retry it as it is." },
  invalid_json: { status: 400, title: "Invalid JSON", agentInstruction: "Send a well-formed JSON body." },
  validation_failed: { status: 400, title: "Validation failed", agentInstruction: "Correct the fields named in errors[]." },
  unauthorized: { status: 401, title: "Unauthorized", agentInstruction: "Send a valid key as Authorization: Bearer <key>." },
  forbidden: { status: 403, title: "Forbidden", agentInstruction: "Use a key whose scope allows this call." },
  not_found: { status: 404, title: "Not found", agentInstruction: "Check the id; what you may not see does not exist for you." },
  conflict: { status: 409, title: "Conflict", agentInstruction: "Read the present state, then decide again." },
  idempotency_mismatch: {
    status: 409,
    title: "Idempotency key reused",
    agentInstruction: "Use a new idempotencyKey for a different request.",
  },
  reservation_expired: { status: 409, title: "Reservation expired", agentInstruction: "Reserve again before doing the work." },
  payload_too_large: { status: 413, title: "Payload too large", agentInstruction: "Send a smaller payload." },
  limit_exceeded: {
    status: 429,
    title: "Limit exceeded",
    agentInstruction: "Read denials[]: wait until resetsAt, raise the cap, or change the plan.",
  },
  rate_limited: { status: 429, title: "Too many requests", agentInstruction: "Wait for Retry-After seconds." },
  internal_error: { status: 500, title: "Internal error", agentInstruction: "Retry later with the same idempotencyKey." },
  unavailable: {
    status: 503,
    title: "Unavailable",
    agentInstruction: "Do not write. Retry after Retry-After seconds with the same idempotencyKey.",
  },
} as const;

export type ErrorCode = keyof typeof ERROR_CATALOG;

/** One field that did not pass validation; `path` is dotted, from the body's root. */
export interface FieldError {
  path: string;
  message: string;
}

/**
 * An error meant for the caller. `message` is public: it names what is wrong and what to do,
 * and never holds SQL, a stack or a secret. `extra` becomes members of the problem document.
 */
export class WeirError extends Error {
  readonly code: ErrorCode;
  readonly extra: Readonly<Record<string, unknown>>;
  /** Seconds to wait before trying again, where waiting helps. */
  readonly retryAfterSeconds: number | null;

  constructor(
    code: ErrorCode,
    message: string,
    options: { extra?: Record<string, unknown>; retryAfterSeconds?: number; cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "WeirError";
    this.code = code;
    this.extra = options.extra ?? {};
    this.retryAfterSeconds = options.retryAfterSeconds ?? null;
  }

  get status(): number {
    return ERROR_CATALOG[this.code].status;
  }
}

export const notFound = (what: string): WeirError => new WeirError("not_found", `${what} was not found.`);

export const validationFailed = (errors: FieldError[]): WeirError =>
  new WeirError("validation_failed", errors.map((e) => (e.path ? `${e.path}: ${e.message}` : e.message)).join("; "), {
    extra: { errors },
  });

export const unavailable = (what: string, cause?: unknown): WeirError =>
  new WeirError("unavailable", `${what} cannot be reached; nothing was decided.`, { retryAfterSeconds: 1, cause });

export const isUnavailable = (error: unknown): boolean => error instanceof WeirError && error.code === "unavailable";

/** For what goes on without a store that is away. */
export const unlessUnavailable = (error: unknown): void => {
  if (!isUnavailable(error)) throw error;
};

/** `unavailable`, known before anything was sent: whatever was asked for has certainly not happened. */
export class NotSent extends WeirError {
  constructor(server: string) {
    super("unavailable", `${server} cannot be reached; nothing was decided.`, { retryAfterSeconds: 1 });
    this.name = "NotSent";
  }
}

/** A problem document (RFC 9457), with what programs and people are told beside it. */
export interface Problem {
  type: string;
  title: string;
  status: number;
  detail: string;
  instance: string;
  code: ErrorCode;
  message: string;
  agent_instruction: string;
  docs_url: string;
  [extra: string]: unknown;
}

/** The problem document of `error` as seen at `instance` (the request's path). `docsBase` is where the error pages live. */
export function toProblem(error: WeirError, instance: string, docsBase = ""): Problem {
  const entry = ERROR_CATALOG[error.code];
  const page = `${docsBase}/docs/errors/${error.code}`;
  return {
    type: page,
    title: entry.title,
    status: entry.status,
    detail: error.message,
    instance,
    code: error.code,
    message: error.message,
    agent_instruction: entry.agentInstruction,
    docs_url: page,
    ...error.extra,
  };
}
