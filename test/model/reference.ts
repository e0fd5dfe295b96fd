import { windowsAt, type BillingCalendar, type Period } from "../../src/kernel/window.ts";

export const CALENDAR: BillingCalendar = { anchorDay: 1, timezone: "UTC" };
export const PERIODS: readonly Period[] = ["day", "month"];

/** Hard limits of the plan Free that the commands come near to, per day. Pro stops nowhere by itself. */
const FREE_DAY_LIMITS: Readonly<Record<string, number>> = { kv_writes: 1_000, queue_operations: 10_000 };
export const METERS = ["kv_writes", "queue_operations", "state_requests"] as const;

interface Entry {
  meter: string;
  at: number;
  quantity: number;
}

/** A part of the limits that a holder has. Quantities by meter, in all so far. */
export interface Lease {
  id: string;
  at: number;
  seq: number;
  granted: Record<string, number>;
  /** By the holder, in its memory. */
  spent: Record<string, number>;
  /** Of it, what Weir was told. */
  settled: Record<string, number>;
  closed: boolean;
}

/** What an account may and has used, as the contract says it: sums, and nothing of how Weir keeps them. */
export class Reference {
  plan: "free" | "pro" = "pro";
  readonly caps = new Map<string, number>();
  /** Of holders that live. */
  readonly leases = new Map<string, Lease>();
  /** Of those that died too. */
  readonly allLeases: Lease[] = [];
  readonly #entries: Entry[] = [];
  readonly #answers = new Map<string, boolean>();
  readonly #sizes = new Map<string, number>();

  used(meter: string, period: Period, now: number): number {
    const { start, end } = windowsAt(now, CALENDAR)[period];
    const checked = this.#entries.reduce(
      (sum, entry) => (entry.meter === meter && entry.at >= start && entry.at < end ? sum + entry.quantity : sum),
      0,
    );
    return this.#leasesIn(period, now).reduce((sum, lease) => sum + (lease.settled[meter] ?? 0), checked);
  }

  /** Lent and not settled: nobody else may have it, whether its holder lives or not. */
  lent(meter: string, period: Period, now: number): number {
    return this.#leasesIn(period, now).reduce(
      (sum, { granted, settled, closed }) => (closed ? sum : sum + (granted[meter] ?? 0) - (settled[meter] ?? 0)),
      0,
    );
  }

  /** The limits of a meter in a period. */
  limits(meter: string, period: Period): number[] {
    const cap = this.caps.get(`${meter}/${period}`);
    const plan = this.plan === "free" && period === "day" ? FREE_DAY_LIMITS[meter] : undefined;
    return [cap, plan].filter((limit) => limit !== undefined);
  }

  hasLimit(meter: string): boolean {
    return PERIODS.some((period) => this.limits(meter, period).length > 0);
  }

  /** What the lowest limit leaves. */
  left(meter: string, now: number): number {
    const remains = PERIODS.flatMap((period) =>
      this.limits(meter, period).map((limit) => limit - this.used(meter, period, now) - this.lent(meter, period, now)),
    );
    return Math.max(0, Math.min(...remains));
  }

  allows(usage: Readonly<Record<string, number>>, now: number): boolean {
    return Object.entries(usage).every(
      ([meter, quantity]) =>
        quantity === 0 ||
        PERIODS.every((period) => {
          const taken = this.used(meter, period, now) + this.lent(meter, period, now);
          return this.limits(meter, period).every((limit) => taken + quantity <= limit);
        }),
    );
  }

  count(usage: Readonly<Record<string, number>>, now: number): void {
    for (const [meter, quantity] of Object.entries(usage)) this.#entries.push({ meter, at: now, quantity });
  }

  answered(key: string): boolean | undefined {
    return this.#answers.get(key);
  }

  answer(key: string, allowed: boolean): void {
    this.#answers.set(key, allowed);
  }

  size(object: string): number {
    return this.#sizes.get(object) ?? 0;
  }

  setSize(object: string, bytes: number): void {
    this.#sizes.set(object, Math.max(0, bytes));
  }

  #leasesIn(period: Period, now: number): Lease[] {
    const { start, end } = windowsAt(now, CALENDAR)[period];
    return this.allLeases.filter(({ at }) => at >= start && at < end);
  }

  stored(): number {
    return [...this.#sizes.values()].reduce((sum, bytes) => sum + bytes, 0);
  }
}
