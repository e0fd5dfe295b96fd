import { sleep } from "../../kernel/clock.ts";
import type { Answer, Api, CallOptions, Method } from "../api.ts";
import { asProblem } from "../api.ts";
import { CommandFailure, failureOf } from "../failure.ts";

/** How often one call is sent, at most. With the waits below that rides out about ten seconds without an answer. */
const ATTEMPTS_MAX = 6;

const WAIT_FIRST_MS = 200;
const WAIT_MAX_MS = 5_000;

/** How long an attempt waits for its answer. */
const ATTEMPT_TIMEOUT_MS = 20_000;

/** Errors of a socket that never was: nothing was sent, so sending again cannot count twice. */
const NEVER_SENT = new Set(["ECONNREFUSED", "ENOTFOUND", "EAI_AGAIN", "EHOSTUNREACH", "ENETUNREACH", "UND_ERR_CONNECT_TIMEOUT"]);

/** `idempotent`: the call may be sent again although an earlier attempt may have been carried out. */
export type Retry = "idempotent" | "only if never sent";

/**
 * One exchange, sent again where that is safe, a bounded number of times. Null: it was sent and what came of it is not known.
 * Throws when nothing was ever sent, and for answers that no repetition mends (401, 403).
 */
export async function exchangeWithRetry(
  api: Api,
  method: Method,
  path: string,
  options: CallOptions,
  retry: Retry,
): Promise<Answer | null> {
  let wait = WAIT_FIRST_MS;
  let unanswered = false;
  let last: unknown = null;
  for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt += 1) {
    if (attempt > 1) {
      await sleep(wait);
      wait = Math.min(wait * 2, WAIT_MAX_MS);
    }
    try {
      const answer = await api.exchange(method, path, { timeoutMs: ATTEMPT_TIMEOUT_MS, ...options });
      if (answer.status === 401 || answer.status === 403) throw failureOf(asProblem(answer));
      if (isRateLimited(answer)) continue;
      if (answer.status < 500) return answer;
      unanswered = true;
    } catch (error) {
      if (!(error instanceof CommandFailure) || error.problem.code !== "unavailable") throw error;
      last = error;
      if (!neverSent(error)) unanswered = true;
    }
    if (unanswered && retry !== "idempotent") return null;
  }
  if (unanswered) return null;
  throw last ?? new CommandFailure("The API refuses the rate of requests.", { remedy: "Run it again with a lower --concurrency." });
}

/** 429 without denials: the API asks for patience; nothing was decided. */
const isRateLimited = (answer: Answer): boolean => answer.status === 429 && asProblem(answer).code === "rate_limited";

function neverSent(failure: CommandFailure): boolean {
  const outer = failure.cause;
  const cause = outer instanceof Error && outer.cause instanceof Error ? outer.cause : outer;
  // Of a host with several addresses, fetch reports all attempts as one AggregateError with the same code.
  return cause instanceof Error && "code" in cause && typeof cause.code === "string" && NEVER_SENT.has(cause.code);
}
