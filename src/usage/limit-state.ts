import { percentOf, thresholdOf } from "../kernel/quantity.ts";

export type LimitState = "ok" | "warning" | "exceeded";

export interface LimitFigures {
  used: number;
  reserved: number;
  limit: number | null;
  remaining: number | null;
  percent: number | null;
  state: LimitState;
}

/** What stands against a limit. Stranded budget is shown on its own, and is nobody's to spend. */
export interface Against {
  used: number;
  reserved: number;
  stranded: number;
}

/** `warning` from the notify threshold on, `exceeded` once nothing remains. */
export function limitFigures({ used, reserved, stranded }: Against, limit: number | null, notifyAtPercent: number): LimitFigures {
  const taken = reserved + stranded;
  const remaining = limit === null ? null : Math.max(0, limit - used - taken);
  return { used, reserved, limit, remaining, percent: percentOf(used, limit), state: stateOf(used, taken, limit, notifyAtPercent) };
}

function stateOf(used: number, taken: number, limit: number | null, notifyAtPercent: number): LimitState {
  if (limit === null) return "ok";
  if (used + taken >= limit) return "exceeded";
  return used >= thresholdOf(limit, notifyAtPercent) ? "warning" : "ok";
}
