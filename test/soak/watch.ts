import { monotonicMs, sleep } from "../../src/kernel/clock.ts";
import { median } from "../bench/rounds.ts";
import { ADMIN_KEY, type Seat, type Stage } from "./stage.ts";
import type { Tenant } from "./tenants.ts";

const LOOK_MS = 1_000;
/** A process grows while it is new: what it weighs is looked at from then on. */
const GROWN_UP_MS = 15_000;
/** The first tenth of a soak fills caches. */
const WARM_UP = 0.1;

interface Sample {
  at: number;
  bytes: number;
}

/** Looks on while traffic runs: what each process weighs, and whether an account with limits is ever shown beyond one. */
export class Watch {
  /** Windows that were shown with more used and reserved than their limit allows. */
  readonly over: string[] = [];
  looks = 0;
  readonly #stage: Stage;
  readonly #tight: readonly Tenant[];
  readonly #samples = new Map<string, Sample[]>();
  readonly #from = monotonicMs();
  #running: Promise<void> | null = null;
  #over = false;

  constructor(stage: Stage, tight: readonly Tenant[]) {
    this.#stage = stage;
    this.#tight = tight;
    this.#running = this.#run();
  }

  async stop(): Promise<void> {
    this.#over = true;
    await this.#running;
  }

  /** Of each seat, medians in MB of the first third and of the last one, without the time that warms up. */
  thirds(): { name: string; first: number; last: number }[] {
    const length = monotonicMs() - this.#from;
    const from = length * WARM_UP;
    return [...this.#samples].map(([name, samples]) => {
      const third = (nth: number): number =>
        median(
          samples.filter(({ at }) => at >= from && Math.floor(((at - from) * 3) / (length - from)) === nth).map(({ bytes }) => bytes / 1e6),
        );
      return { name, first: third(0), last: third(2) };
    });
  }

  async #run(): Promise<void> {
    for (let n = 0; !this.#over; n++) {
      await sleep(LOOK_MS);
      for (const [seat, bytes] of await this.#stage.memory()) this.#weigh(seat, bytes);
      const tenant = this.#tight[n % this.#tight.length];
      if (tenant) await this.#look(tenant).catch(() => {});
    }
  }

  #weigh({ name, process }: Seat, bytes: number): void {
    if (monotonicMs() - process.startedAt < GROWN_UP_MS) return;
    this.#samples.set(name, [...(this.#samples.get(name) ?? []), { at: monotonicMs() - this.#from, bytes }]);
  }

  async #look({ account }: Tenant): Promise<void> {
    const { status, text } = await this.#stage.balancer.ask({ method: "GET", path: "/v1/usage", key: ADMIN_KEY, account });
    if (status !== 200) return;
    this.looks += 1;
    const { meters } = JSON.parse(text) as { meters: { meter: string; used: number; reserved: number; limit: number | null }[] };
    for (const { meter, used, reserved, limit } of meters)
      if (limit !== null && used + reserved > limit)
        this.over.push(`${account} ${meter}: ${used} used and ${reserved} reserved of ${limit}`);
  }
}
