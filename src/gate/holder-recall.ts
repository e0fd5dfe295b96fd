import type { Counters } from "../counters/counters.ts";
import { monotonicMs } from "../kernel/clock.ts";
import type { Denial } from "./decision.ts";

/** A storm of denials calls an account's holders this often, milliseconds; they hear of it at their next heartbeat anyway. */
const CALL_EVERY_MS = 250;
/** Accounts whose last call is remembered. */
const REMEMBERED_MAX = 10_000;

/**
 * Asks an account's holders to give back what they do not need when a check was denied while something was lent or reserved. The denial
 * stands: what comes back is for the caller's next try. A check may so be denied early by what holders have not spent, never late.
 */
export class HolderRecall {
  readonly #counters: Counters;
  readonly #called = new Map<string, number>();

  constructor(counters: Counters) {
    this.#counters = counters;
  }

  /** After a denial. Nobody waits for it, and nobody is called where what they hold would not help: then a storm costs holders nothing. */
  call(account: string, denials: readonly Denial[], now: number): void {
    if (!denials.every(onlyHeld)) return;
    const at = monotonicMs();
    if (at - (this.#called.get(account) ?? Number.NEGATIVE_INFINITY) < CALL_EVERY_MS) return;
    if (this.#called.size >= REMEMBERED_MAX) this.#called.clear();
    this.#called.set(account, at);
    void this.#counters.leases.recall(account, now).catch(() => {});
  }
}

/** What is held alone stands in the way. */
export const onlyHeld = ({ used, requested, limit, reserved }: Denial): boolean => reserved > 0 && used + requested <= limit;
