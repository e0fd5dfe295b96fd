import type { Denial } from "../gate/decision.ts";
import { WeirError } from "../kernel/errors.ts";

/** The denial of a namespace too many: a ceiling of the plan, which no waiting lifts. */
export function classLimitExceeded(limit: number, used: number): WeirError {
  const message = `The plan allows ${limit} State classes and the account has ${used}.`;
  const remedy = "Delete a namespace, or change to a plan with more State classes.";
  const denial: Denial = {
    code: "limit_exceeded",
    meter: null,
    scope: "account",
    source: "ceiling",
    period: null,
    limit,
    used,
    reserved: 0,
    requested: 1,
    resetsAt: null,
    retryable: false,
    message,
    remedy,
  };
  return new WeirError("limit_exceeded", `${message} ${remedy}`, { extra: { denials: [denial] } });
}
