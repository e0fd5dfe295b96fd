import type { Counters } from "../counters/counters.ts";
import { keepDenials, keptDenials, RECENT_DENIALS_MAX } from "../counters/recent-denials.ts";
import { sleep } from "../kernel/clock.ts";
import { iso } from "../kernel/window.ts";
import type { CheckRequest } from "./check-request.ts";
import type { Decision, Denial } from "./decision.ts";
import type { DecisionObserver } from "./observe.ts";

/** One check that was denied, or several alike within half a second. */
export interface RecentDenial {
  at: string;
  count: number;
  service: string | null;
  namespace: string | null;
  object: string | null;
  operation: string | null;
  denials: Denial[];
}

/** How soon people see a denial. */
const KEPT_EVERY_MS = 500;
/** Accounts whose denials wait to be kept; those of more are not shown. */
const ACCOUNTS_MAX = 1_000;

/**
 * Remembers the latest denials of each account, so that people see what was denied and why. A view and no ledger: a denied check counts
 * nothing, and losing this costs nothing. It stays off the way of a check: `note` only writes down, and half a second later all of it is sent.
 */
export class DenialLog implements DecisionObserver {
  readonly #counters: Counters;
  #sending = false;
  #waiting = new Map<string, Map<string, RecentDenial>>();

  constructor(counters: Counters) {
    this.#counters = counters;
  }

  decided(decision: Decision, _tookMs: number, request: CheckRequest, now: number): void {
    if (!decision.allowed) this.note(request, decision, now);
  }

  failed(): void {}

  note(request: CheckRequest, { denials }: Decision, now: number): void {
    if (request.mode === "peek") return;
    const { account } = request;
    const ofAccount = this.#waiting.get(account) ?? new Map<string, RecentDenial>();
    if (ofAccount.size === 0 && this.#waiting.size >= ACCOUNTS_MAX) return;
    this.#waiting.set(account, ofAccount);
    const { service = null, namespace = null, object = null, operation = null } = request;
    const alike = [service, namespace, object, operation, ...denials.map((d) => `${d.meter} ${d.scope} ${d.source} ${d.period}`)].join(
      "\0",
    );
    const known = ofAccount.get(alike);
    // The newest stands last; of more than are kept, the oldest goes.
    ofAccount.delete(alike);
    const [oldest] = ofAccount.keys();
    if (oldest !== undefined && ofAccount.size >= RECENT_DENIALS_MAX) ofAccount.delete(oldest);
    ofAccount.set(alike, { at: iso(now), count: (known?.count ?? 0) + 1, service, namespace, object, operation, denials });
    if (!this.#sending) void this.#sendSoon();
  }

  async #sendSoon(): Promise<void> {
    this.#sending = true;
    await sleep(KEPT_EVERY_MS);
    this.#sending = false;
    // A Redis that is away has other troubles than a lost view.
    await this.flush().catch(() => undefined);
  }

  /** Keeps what was noted, in Redis, where every process finds it. */
  async flush(): Promise<void> {
    const waiting = this.#waiting;
    if (waiting.size === 0) return;
    this.#waiting = new Map();
    const kept = [...waiting].map(([account, entries]) =>
      keepDenials(
        this.#counters,
        account,
        [...entries.values()].map((entry) => JSON.stringify(entry)),
      ),
    );
    await Promise.all(kept);
  }

  /** The account's latest denials, newest first. */
  async recent(account: string): Promise<RecentDenial[]> {
    return (await keptDenials(this.#counters, account)).map((text) => JSON.parse(text) as RecentDenial);
  }
}
