import type { AccountLoader, GateStores } from "./account-loader.ts";
import { Decider } from "./check.ts";
import { CreditRaises, type ReckonCredits } from "./credit-limits.ts";
import type { CheckRequest, SettleRequest } from "./check-request.ts";
import type { Decision } from "./decision.ts";
import { allowUnchecked, mayBeAllowedUnchecked, type RecordEvent } from "./degraded.ts";
import { Granter } from "./granter.ts";
import { Leases } from "./leases.ts";
import { endReservation, type ReservationEnd } from "./reservations.ts";

/** What a data plane calls. Every method throws `unavailable` when nothing could be decided: the caller must not write then. */
export interface Gate {
  /** Decides one operation: counts it (`consume`), holds it (`reserve`) or only says (`peek`). A denial is an answer, not an error. */
  check(request: CheckRequest, now: number): Promise<Decision>;
  /** Counts what has happened already; no limit refuses it. Idempotent by `idempotencyKey`. */
  force(request: CheckRequest, now: number): Promise<Decision>;
  settle(reservation: string, actual: SettleRequest, now: number): Promise<ReservationEnd>;
  release(reservation: string, now: number): Promise<ReservationEnd>;
  /** Lends to processes that then decide by themselves. */
  readonly leases: Leases;
}

/** The gate over its stores. `recordEvent` counts what was allowed while Redis was away; `reckonCredits` says what credits cover. */
export function createGate(stores: GateStores, loader: AccountLoader, recordEvent: RecordEvent, reckonCredits: ReckonCredits): Gate {
  const granter = new Granter(stores.db, stores.counters);
  const credits = new CreditRaises(stores, loader, reckonCredits);
  const decider = new Decider(stores, loader, granter, credits);
  return {
    leases: new Leases(stores, loader, granter, credits),
    check: async (request, now) => {
      try {
        return await decider.decide(request, request.mode ?? "consume", now);
      } catch (error) {
        const { catalog } = stores.catalog;
        if (!mayBeAllowedUnchecked(catalog, request, error)) throw error;
        return allowUnchecked(catalog, recordEvent, request, now);
      }
    },
    force: async (request, now) => decider.decide(request, "force", now),
    settle: (id, actual, now) => endReservation(stores, loader, id, "settle", actual, now),
    release: (id, now) => endReservation(stores, loader, id, "release", {}, now),
  };
}
