import type { Api } from "./api.ts";
import type { ClientClock } from "./clock.ts";
import { WeirRefused } from "./errors.ts";
import type { Journal } from "./journal.ts";
import type { Metrics } from "./metrics.ts";
import type { LeaseAnswer, SettleBody } from "./types.ts";

/** Leases that are over and whose end Weir has not heard of. */
const WAITING_MAX = 10_000;
const AT_ONCE = 32;
const RETRY_FIRST_MS = 200;
const RETRY_LAST_MS = 30_000;

interface Entry {
  lease: string;
  body: SettleBody;
  failures: number;
  dueAt: number;
  sending: Promise<void> | null;
}

/** Tells Weir the last of leases that are over, again and again until it has heard: the same totals under the same number. */
export class Unsettled {
  readonly #api: Api;
  readonly #clock: ClientClock;
  readonly #metrics: Metrics;
  readonly #journal: Journal | null;
  readonly #entries = new Set<Entry>();

  constructor(api: Api, clock: ClientClock, metrics: Metrics, journal: Journal | null) {
    this.#api = api;
    this.#clock = clock;
    this.#metrics = metrics;
    this.#journal = journal;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** Sends it now; resolves when it was heard or will be sent again. */
  add(lease: string, body: SettleBody): Promise<void> {
    this.#journal?.append({ kind: "used", lease, seq: body.seq, used: body.used, places: body.places });
    if (this.#entries.size >= WAITING_MAX) {
      this.#metrics.unsettledLost += 1;
      return Promise.resolve();
    }
    const entry: Entry = { lease, body, failures: 0, dueAt: this.#clock.now(), sending: null };
    this.#entries.add(entry);
    return this.#send(entry);
  }

  /** Sends what is due again, a few at a time. */
  retry(): void {
    const now = this.#clock.now();
    let started = 0;
    for (const entry of this.#entries) {
      if (entry.sending || entry.dueAt > now) continue;
      void this.#send(entry);
      started += 1;
      if (started === AT_ONCE) return;
    }
  }

  /** Sends everything once more; resolves when all have been heard or refused once. */
  async flush(): Promise<void> {
    const entries = [...this.#entries];
    for (let i = 0; i < entries.length; i += AT_ONCE) {
      const left = entries.slice(i, i + AT_ONCE).filter((entry) => this.#entries.has(entry));
      await Promise.all(left.map((entry) => entry.sending ?? this.#send(entry)));
    }
  }

  #send(entry: Entry): Promise<void> {
    entry.sending = this.#try(entry).finally(() => (entry.sending = null));
    return entry.sending;
  }

  async #try(entry: Entry): Promise<void> {
    try {
      this.#metrics.settles += 1;
      await this.#api.send<LeaseAnswer>("POST", `/v1/leases/${entry.lease}/settle`, entry.body);
      this.#metrics.returned += 1;
    } catch (error) {
      if (!(error instanceof WeirRefused)) {
        this.#metrics.unavailable += 1;
        entry.failures += 1;
        entry.dueAt = this.#clock.now() + Math.min(RETRY_LAST_MS, RETRY_FIRST_MS * 2 ** (entry.failures - 1));
        return;
      }
      // The lease is not known any more, or the key is not: nothing that is said again will change that.
      this.#metrics.unsettledLost += 1;
      this.#metrics.lastRefusal = error.message;
    }
    this.#entries.delete(entry);
    this.#journal?.append({ kind: "ended", lease: entry.lease });
  }
}
