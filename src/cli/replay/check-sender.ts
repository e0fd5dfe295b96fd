import { sleep } from "../../kernel/clock.ts";
import type { Api } from "../api.ts";
import { asProblem } from "../api.ts";
import type { Denial } from "../../client/types.ts";
import { failureOf, type ProblemDocument } from "../failure.ts";
import { reasonOf, type Outcome, type Quantities } from "../../replay/tally.ts";
import { exchangeWithRetry } from "./retry.ts";

/** One check of a batch, as `POST /v1/checks` takes it. */
export interface Check {
  account: string;
  service: string;
  namespace?: string;
  object?: string;
  operation?: string;
  usage: Quantities;
  payloadBytes?: number;
  /** The same in every attempt: what was decided once is not counted again. */
  idempotencyKey: string;
}

export interface CheckDecision {
  allowed: boolean;
  denials: Denial[];
}

/** What came of one check: its outcome, and the decision where there was one. */
export interface Checked {
  outcome: Outcome;
  decision: CheckDecision | null;
}

/** Checks of one call, at most (the API's own bound). */
export const CHECKS_MAX = 1000;

/** One of a batch that could not be decided: its problem, in the decision's place. */
interface Failed {
  error: ProblemDocument;
}

/** How often what was not decided is asked again, at most, and how long to wait before. */
const ROUNDS_MAX = 5;
const ROUND_WAIT_MS = 500;

/** Problems that pass: what they stopped is asked again under the same key. */
const PASSING = new Set(["unavailable", "internal_error", "rate_limited"]);

/** Sends checks as one batch; answers what came of each, in order. Throws when the batch as a whole is not understood. */
export async function sendChecks(api: Api, checks: readonly Check[]): Promise<Checked[]> {
  const results: Checked[] = checks.map((check) => ({ outcome: { type: "unknown", usage: check.usage }, decision: null }));
  let open = [...checks.keys()];
  for (let round = 1; open.length > 0 && round <= ROUNDS_MAX; round += 1) {
    if (round > 1) await sleep(ROUND_WAIT_MS * round);
    const asked = open.flatMap((i) => checks[i] ?? []);
    const answer = await exchangeWithRetry(api, "POST", "/v1/checks", { body: { checks: asked } }, "idempotent");
    if (answer === null) return results;
    if (answer.status !== 200) throw failureOf(asProblem(answer));
    const { decisions } = answer.body as { decisions: (CheckDecision | Failed)[] };
    open = open.filter((i, at) => {
      const [check, decision] = [checks[i], decisions[at]];
      if (!check || !decision || ("error" in decision && PASSING.has(decision.error.code))) return true;
      results[i] = checkedBy(check, decision);
      return false;
    });
  }
  return results;
}

function checkedBy(check: Check, decision: CheckDecision | Failed): Checked {
  if (!("error" in decision)) return { outcome: outcomeOf(check, decision), decision };
  // No account of that name: every other check would end like this one.
  if (decision.error.code === "not_found") throw failureOf(decision.error);
  return { outcome: { type: "refused", reason: decision.error.code }, decision: null };
}

function outcomeOf(check: Check, decision: CheckDecision): Outcome {
  return decision.allowed ? { type: "allowed", usage: check.usage } : { type: "denied", reasons: decision.denials.map(reasonOf) };
}
