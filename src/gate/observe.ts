import { WeirError, type ErrorCode } from "../kernel/errors.ts";
import { monotonicMs } from "../kernel/clock.ts";
import type { Decision } from "./decision.ts";
import type { Gate } from "./gate.ts";

/** Told of every check: how it ended, and after how many milliseconds. Must not throw and must not wait. */
export interface DecisionObserver {
  decided(decision: Decision, tookMs: number): void;
  failed(code: ErrorCode, tookMs: number): void;
}

/** The same gate, seen by whoever `observer` answers at the time of each check. */
export function observedGate(gate: Gate, observer: () => DecisionObserver | null): Gate {
  return {
    ...gate,
    check: async (request, now) => {
      const watching = observer();
      if (!watching) return gate.check(request, now);
      const from = monotonicMs();
      try {
        const decision = await gate.check(request, now);
        watching.decided(decision, monotonicMs() - from);
        return decision;
      } catch (error) {
        watching.failed(error instanceof WeirError ? error.code : "internal_error", monotonicMs() - from);
        throw error;
      }
    },
  };
}
