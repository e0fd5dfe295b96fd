import { monotonicMs, sleep } from "../../kernel/clock.ts";
import { HOUR_MS, iso } from "../../kernel/window.ts";
import type { Quantities } from "../../replay/tally.ts";
import { mayStillArrive, verdicts, type MeterVerdict } from "../../replay/verdict.ts";
import type { Api } from "../api.ts";

/** How long the roll-up may take to book what was answered. */
export const BOOKING_WAIT_MS = 30_000;

const POLL_EVERY_MS = 500;

interface HistoryAnswer {
  series: { start: string; quantity: number; group?: string | Record<string, string> | null }[];
}

/** Booked quantities: meter → service → quantity. */
export type Booked = Map<string, ReadonlyMap<string, number>>;

/** Reads what Postgres holds of an account since a replay began. */
export class BookedReader {
  readonly #api: Api;
  readonly #from: number;

  /** `startedAt` is the server's time when the replay began: buckets of earlier hours cannot change by it. */
  constructor(api: Api, startedAt: number) {
    this.#api = api;
    this.#from = Math.floor(startedAt / HOUR_MS) * HOUR_MS;
  }

  /** What is booked now, for each of `meters`. */
  async read(meters: readonly string[]): Promise<Booked> {
    const to = (await serverTime(this.#api)) + HOUR_MS;
    const booked: Booked = new Map();
    for (const meter of meters) booked.set(meter, await this.#byService(meter, to));
    return booked;
  }

  async #byService(meter: string, to: number): Promise<Map<string, number>> {
    const query = { meter, granularity: "hour", from: iso(this.#from), to: iso(to), groupBy: "service" };
    const { series } = await this.#api.call<HistoryAnswer>("GET", "/v1/usage/history", { query });
    const sums = new Map<string, number>();
    for (const { group, quantity } of series) {
      const service = groupName(group);
      sums.set(service, (sums.get(service) ?? 0) + quantity);
    }
    return sums;
  }
}

/** By how much each meter grew on `services`. */
export function growth(before: Booked, after: Booked, services: Iterable<string>): Record<string, number> {
  const names = [...services];
  const at = (booked: Booked, meter: string): number => names.reduce((sum, service) => sum + (booked.get(meter)?.get(service) ?? 0), 0);
  return Object.fromEntries([...after.keys()].map((meter) => [meter, at(after, meter) - at(before, meter)]));
}

function groupName(group: HistoryAnswer["series"][number]["group"]): string {
  if (typeof group === "object" && group !== null) return group["service"] ?? "";
  return group ?? "";
}

/** The server's time: it may live by a clock of its own (tests), so this machine's says nothing about its windows. */
export async function serverTime(api: Api): Promise<number> {
  const { asOf } = await api.call<{ asOf: string }>("GET", "/v1/usage");
  return Date.parse(asOf);
}

export interface Verification {
  meters: MeterVerdict[];
  /** How long the roll-up took, as seen from here. */
  tookMs: number;
}

/** Compares until what was counted is booked, something is booked that was not counted, or the time is up. `grown` reads anew. */
export async function verify(
  grown: () => Promise<Quantities>,
  counted: Quantities,
  uncertain: Quantities,
  waitMs: number = BOOKING_WAIT_MS,
): Promise<Verification> {
  const started = monotonicMs();
  for (;;) {
    const meters = verdicts(counted, uncertain, await grown());
    const tookMs = monotonicMs() - started;
    if (!mayStillArrive(meters) || tookMs >= waitMs) return { meters, tookMs };
    await sleep(POLL_EVERY_MS);
  }
}
