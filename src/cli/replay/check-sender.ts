import type { Api } from "../api.ts";
import { asProblem } from "../api.ts";
import { failureOf, type Denial } from "../failure.ts";
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

/** Sends checks as one batch; answers what came of each, in order. Throws when the batch as a whole is not understood. */
export async function sendChecks(api: Api, checks: readonly Check[]): Promise<Checked[]> {
  const answer = await exchangeWithRetry(api, "POST", "/v1/checks", { body: { checks } }, "idempotent");
  if (answer === null) return checks.map((check) => ({ outcome: { type: "unknown", usage: check.usage }, decision: null }));
  if (answer.status !== 200) throw failureOf(asProblem(answer));
  const { decisions } = answer.body as { decisions: CheckDecision[] };
  return checks.map((check, i) => {
    const decision = decisions[i];
    if (!decision) return { outcome: { type: "unknown", usage: check.usage }, decision: null };
    return { outcome: outcomeOf(check, decision), decision };
  });
}

function outcomeOf(check: Check, decision: CheckDecision): Outcome {
  return decision.allowed ? { type: "allowed", usage: check.usage } : { type: "denied", reasons: decision.denials.map(reasonOf) };
}
