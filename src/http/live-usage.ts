import type { Engine } from "../engine.ts";
import type { RecentDenial } from "../gate/denial-log.ts";
import { onOwnBehalf } from "../kernel/caller.ts";
import { monotonicMs, sleep } from "../kernel/clock.ts";
import { WeirError } from "../kernel/errors.ts";
import type { UsageReport } from "../usage/report.ts";

/** What a watcher is told. */
export type LiveEvent =
  | { event: "usage"; data: UsageReport }
  | { event: "denials"; data: { denials: RecentDenial[] } }
  /** The figures cannot be read at the moment; those told before are old. */
  | { event: "trouble"; data: { code: string; message: string } };

export type Watcher = (event: LiveEvent) => void;

/** How often a watched account is looked at, milliseconds. */
const LOOK_MS = 500;
/** Looking takes at most this share of the time: with many accounts, or slow stores, figures come later, not checks. */
const SHARE_MAX = 0.1;
const WATCHERS_MAX = 500;
const WATCHERS_OF_ACCOUNT_MAX = 50;

interface Watched {
  watchers: Set<Watcher>;
  /** What was told last, as text without its time. */
  usage: string;
  denials: string;
}

/** Tells watchers of an account what changes: one look serves all who watch the same account, and nobody's is looked at unwatched. */
export class LiveUsage {
  readonly #engine: Engine;
  readonly #accounts = new Map<string, Watched>();
  readonly #closing = new AbortController();
  #count = 0;
  #running = false;

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  /** Tells `watcher` the present state and every change, until the answered function is called. Throws `rate_limited` when full. */
  watch(account: string, watcher: Watcher): () => void {
    const watched = this.#accounts.get(account) ?? { watchers: new Set(), usage: "", denials: "" };
    if (this.#count >= WATCHERS_MAX || watched.watchers.size >= WATCHERS_OF_ACCOUNT_MAX)
      throw new WeirError("rate_limited", "Too many pages watch at once: close some, or read GET /v1/usage now and then.", {
        retryAfterSeconds: 30,
      });
    this.#accounts.set(account, watched);
    watched.watchers.add(watcher);
    // A newcomer is told at once; the others see a repeated figure, which changes nothing.
    watched.usage = watched.denials = "";
    this.#count += 1;
    // One look serves many requests: it is nobody's in particular.
    if (this.#running) void onOwnBehalf(() => this.#look(account, watched));
    else void onOwnBehalf(() => this.#run());
    return () => {
      if (!watched.watchers.delete(watcher)) return;
      this.#count -= 1;
      if (watched.watchers.size === 0) this.#accounts.delete(account);
    };
  }

  /** Looks no more. */
  close(): void {
    this.#closing.abort();
    this.#accounts.clear();
  }

  async #run(): Promise<void> {
    this.#running = true;
    while (this.#accounts.size > 0) {
      const from = monotonicMs();
      for (const [account, watched] of this.#accounts) await this.#look(account, watched);
      await sleep(Math.max(LOOK_MS, (monotonicMs() - from) / SHARE_MAX), this.#closing.signal);
    }
    this.#running = false;
  }

  async #look(account: string, watched: Watched): Promise<void> {
    try {
      const usage = await this.#engine.usage(account);
      const denials = await this.#engine.denials.recent(account);
      const usageText = JSON.stringify({ ...usage, asOf: null });
      if (usageText !== watched.usage) tell(watched, { event: "usage", data: usage });
      const denialsText = JSON.stringify(denials);
      if (denialsText !== watched.denials) tell(watched, { event: "denials", data: { denials } });
      watched.usage = usageText;
      watched.denials = denialsText;
    } catch (error) {
      const { code, message } = error instanceof WeirError ? error : new WeirError("internal_error", "The figures cannot be read.");
      // What comes next is told again, whether it changed or not.
      watched.usage = watched.denials = "";
      tell(watched, { event: "trouble", data: { code, message } });
    }
  }
}

function tell({ watchers }: Watched, event: LiveEvent): void {
  for (const watcher of watchers) watcher(event);
}
