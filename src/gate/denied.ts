import { WeirError } from "../kernel/errors.ts";
import type { Decision } from "./decision.ts";
import { onlyHeld } from "./holder-recall.ts";

/** Longest `Retry-After`: a month's window may be 31 days off. */
const RETRY_AFTER_MAX_S = 31 * 86_400;

/** Where only what is reserved or lent stands in the way: it may come back at its holders' next heartbeat. */
const HELD_RETRY_S = 1;

/**
 * The error a data plane gives its user for a denied check: `413 payload_too_large` for a payload over its ceiling, else
 * `429 limit_exceeded`, with every denial, and `Retry-After` where waiting alone would help.
 */
export function deniedError(decision: Decision, now: number): WeirError {
  const { denials } = decision;
  const message = denials.map((d) => d.message).join(" ");
  const tooLarge = denials.some((d) => d.code === "payload_too_large");
  const resets = denials.map((d) => (d.resetsAt === null ? null : Date.parse(d.resetsAt)));
  const latest = resets.reduce<number | null>((max, at) => (max === null || at === null ? null : Math.max(max, at)), 0);
  const soon = denials.every(onlyHeld) ? { retryAfterSeconds: HELD_RETRY_S } : null;
  const wait =
    soon ?? (latest === null ? {} : { retryAfterSeconds: Math.min(RETRY_AFTER_MAX_S, Math.max(1, Math.ceil((latest - now) / 1000))) });
  return new WeirError(tooLarge ? "payload_too_large" : "limit_exceeded", message, {
    extra: { decisionId: decision.decisionId, denials },
    ...wait,
  });
}
