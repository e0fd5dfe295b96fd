import { WeirRefused, WeirUnavailable } from "./errors.ts";
import type { Meter } from "./meter.ts";
import type { CheckRequest, Decision } from "./types.ts";

/** What a data plane answers in place of doing what was asked: an RFC 9457 problem. */
export interface Refusal {
  status: 413 | 429 | 503;
  headers: Record<string, string>;
  body: {
    type: "about:blank";
    title: string;
    status: number;
    detail: string;
    /** Stable: what programs look at. */
    code: "payload_too_large" | "limit_exceeded" | "unavailable";
    denials: Decision["denials"];
  };
}

/**
 * Asks Weir before an operation: null lets it be done, else it must not be, and this is what to answer. Throws where the question itself is
 * wrong (a key, an account, a meter): an error of the data plane's own. Web frameworks answer the `status` of an error that has one, and the
 * data plane's caller is not the one without a key; so this one has none, and its `cause` is the `WeirRefused`.
 */
export async function admit(meter: Meter, request: CheckRequest): Promise<Refusal | null> {
  try {
    const decision = await meter.check(request);
    return decision.allowed ? null : refusalOf(decision);
  } catch (error) {
    if (error instanceof WeirRefused) throw new Error(`Weir refuses the check: ${error.message}`, { cause: error });
    if (!(error instanceof WeirUnavailable)) throw error;
    const { message: detail, retryAfterSeconds } = error;
    return problem({ status: 503, title: "Unavailable", code: "unavailable", detail, denials: [] }, String(retryAfterSeconds));
  }
}

function refusalOf({ denials }: Decision): Refusal {
  const detail = denials.map(({ message }) => message).join(" ");
  if (denials.some(({ code }) => code === "payload_too_large"))
    return problem({ status: 413, title: "Payload too large", code: "payload_too_large", detail, denials });
  return problem({ status: 429, title: "Limit exceeded", code: "limit_exceeded", detail, denials }, whenToRetry(denials));
}

/** When the last of the limits is reset, as a date: nothing where waiting does not help. */
function whenToRetry(denials: Decision["denials"]): string | undefined {
  const resets = denials.map(({ retryable, resetsAt }) => (retryable && resetsAt !== null ? Date.parse(resetsAt) : Infinity));
  const last = Math.max(...resets);
  return Number.isFinite(last) ? new Date(last).toUTCString() : undefined;
}

type Problem = Omit<Refusal["body"], "type" | "status"> & Pick<Refusal, "status">;

function problem({ status, title, code, detail, denials }: Problem, retryAfter?: string): Refusal {
  const headers = { "content-type": "application/problem+json", ...(retryAfter === undefined ? {} : { "retry-after": retryAfter }) };
  return { status, headers, body: { type: "about:blank", title, status, detail, code, denials } };
}
