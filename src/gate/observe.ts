import { monotonicMs } from "../kernel/clock.ts";
import { WeirError, type ErrorCode } from "../kernel/errors.ts";
import type { CheckRequest } from "./check-request.ts";
import type { Decision } from "./decision.ts";
import type { Gate } from "./gate.ts";

/** Told of every check: how it ended, and after how many milliseconds. Must not throw and must not wait. */
export interface DecisionObserver {
  decided(decision: Decision, tookMs: number, request: CheckRequest, now: number): void;
  failed(code: ErrorCode, tookMs: number): void;
}

/** The same gate, seen by all who are in `observers` at the time of each check. */
export function observedGate(gate: Gate, observers: readonly DecisionObserver[]): Gate {
  return {
    ...gate,
    check: async (request, now) => {
      const from = monotonicMs();
      try {
        const decision = await gate.check(request, now);
        for (const observer of observers) observer.decided(decision, monotonicMs() - from, request, now);
        return decision;
      } catch (error) {
        for (const observer of observers) observer.failed(error instanceof WeirError ? error.code : "internal_error", monotonicMs() - from);
        throw error;
      }
    },
  };
}
