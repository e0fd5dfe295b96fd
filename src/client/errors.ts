import type { Decision } from "./types.ts";

/** Weir could not decide: it is away, late or overloaded. The caller must not write. */
export class WeirUnavailable extends Error {
  /** Seconds after which asking again may help. */
  readonly retryAfterSeconds: number;
  /** Weir itself said so; else nothing was heard of it. */
  readonly answered: boolean;

  constructor(message: string, options: { cause?: unknown; retryAfterSeconds?: number; answered?: boolean } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "WeirUnavailable";
    this.retryAfterSeconds = options.retryAfterSeconds ?? 1;
    this.answered = options.answered ?? false;
  }
}

/** Weir refused the request itself: a wrong key, an account or meter that does not exist, a malformed field. */
export class WeirRefused extends Error {
  readonly status: number;
  /** Stable: `validation_failed`, `unauthorized`, `forbidden`, `not_found`, `idempotency_mismatch` … */
  readonly code: string;
  readonly errors: readonly { path: string; message: string }[];

  constructor(status: number, problem: { code?: unknown; detail?: unknown; errors?: unknown }) {
    super(typeof problem.detail === "string" ? problem.detail : `Weir answered ${status}.`);
    this.name = "WeirRefused";
    this.status = status;
    this.code = typeof problem.code === "string" ? problem.code : "unknown";
    this.errors = Array.isArray(problem.errors) ? (problem.errors as { path: string; message: string }[]) : [];
  }
}

/** A limit denied the operation. Thrown by `consume` alone: `check` answers a denial. */
export class WeirDenied extends Error {
  readonly decision: Decision;

  constructor(decision: Decision) {
    super(decision.denials.map((d) => d.message).join(" "));
    this.name = "WeirDenied";
    this.decision = decision;
  }
}
