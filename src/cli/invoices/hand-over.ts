import type { Surface } from "../terminal/surface.ts";
import { fields } from "../terminal/table.ts";

/** What the command line reads of a hand-over. */
export interface HandOverAnswer {
  invoice: string;
  provider: string;
  state: "pending" | "handed_over" | "settled" | "failed";
  externalId: string | null;
  attempts: number;
  nextAttemptAt: string | null;
  error: string | null;
}

const STATES: Readonly<Record<HandOverAnswer["state"], string>> = {
  pending: "to be told",
  handed_over: "is collected there",
  settled: "nothing left to collect",
  failed: "given up",
};

/** Where an invoice stands with whoever collects the money, and what to do where it does not go on by itself. */
export function handOverLines(answer: HandOverAnswer, { style }: Surface): string[] {
  const { invoice, provider, state, externalId, attempts, nextAttemptAt, error } = answer;
  const facts: [string, string][] = [
    ["invoice", invoice],
    ["provider", provider],
    ["state", `${state}: ${STATES[state]}`],
    ["named there", externalId ?? "–"],
    ["attempts", String(attempts)],
    ...(nextAttemptAt === null ? [] : [["next attempt", nextAttemptAt] as [string, string]]),
    ...(error === null ? [] : [["last answer", error] as [string, string]]),
  ];
  const remedy = `→ Put right what the answer names, then: weir invoices hand-over ${invoice} --retry`;
  return [...fields(facts, style), ...(state === "failed" ? [remedy] : [])];
}
