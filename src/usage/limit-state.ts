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

/** `warning` from the notify threshold on, `exceeded` once `used + reserved ≥ limit`. */
export function limitFigures(used: number, reserved: number, limit: number | null, notifyAtPercent: number): LimitFigures {
  const remaining = limit === null ? null : Math.max(0, limit - used - reserved);
  return { used, reserved, limit, remaining, percent: percentOf(used, limit), state: stateOf(used, reserved, limit, notifyAtPercent) };
}

function stateOf(used: number, reserved: number, limit: number | null, notifyAtPercent: number): LimitState {
  if (limit === null) return "ok";
  if (used + reserved >= limit) return "exceeded";
  return used >= thresholdOf(limit, notifyAtPercent) ? "warning" : "ok";
}
