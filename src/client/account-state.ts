import type { Arena } from "./arena.ts";
import type { SettleBody } from "./types.ts";
import { meterAt } from "./vector.ts";

/** A place besides the account's first, and what was spent there of the present lease, by meter number. */
export interface OtherPlace {
  place: number;
  used: number[];
}

/** A lease that is held. Quantities by meter number, in all so far. */
export interface HeldLease {
  id: string;
  seq: number;
  granted: number[];
  /** Used, as it was when the last settle was sent. */
  sent: number[];
  sentAt: number;
  /** Nothing more is lent on it. */
  ended: boolean;
  /** Heartbeats without use. */
  idleBeats: number;
}

export interface GrantBody {
  account: string;
  meters: Record<string, number>;
  holder: string;
  fair: true;
  ttlSeconds?: number;
  idempotencyKey: string;
}

/** A request whose answer has not come: it is sent again as it was, since it may have been carried out. */
export type Pending = { kind: "grant"; body: GrantBody } | { kind: "settle"; lease: string; body: SettleBody };

/** Places of one account that are told apart: as many as a settle may name. */
const PLACES_MAX = 64;
/** What is put by of every grant. When the rest is spent it comes out, and more is sent for. */
const RESERVE = 0.25;

/** One account as this process sees it; what a check in memory needs of it is in the arena. Lists go by meter number. */
export class AccountState {
  readonly id: string;
  readonly arena: Arena;
  readonly row: number;
  readonly others: OtherPlace[] = [];
  lease: HeldLease | null = null;
  flight: Promise<void> | null = null;
  pending: Pending | null = null;
  reserve: number[] = [];
  /** Units a second, a moving average that rises at once. */
  rates: number[] = [];
  /** The largest operation so far. */
  largest: number[] = [];
  /** Checks that went to Weir since `directSince`, and what they asked for. */
  directChecks = 0;
  directSince = 0;
  direct: number[] = [];
  /** Before it no lease is taken and none is renewed: near a limit, or Weir is away. */
  notBefore = Number.NEGATIVE_INFINITY;
  /** Requests in a row that Weir did not carry out. */
  failures = 0;
  /** … the last of them without a word: a check need not try as well. */
  silent = false;
  /** Somebody holds a handle to it. */
  pinned = false;

  constructor(id: string, arena: Arena) {
    this.id = id;
    this.arena = arena;
    this.row = arena.claim();
  }

  get until(): number {
    return this.arena.until(this.row);
  }

  set until(at: number) {
    this.arena.setUntil(this.row, at);
  }

  /** Units that may be spent, the reserve among them. */
  left(meter: number): number {
    return this.arena.left(this.row, meter) + (this.reserve[meter] ?? 0);
  }

  /** Adds what was lent, and puts a part of all there is by. */
  add(meter: number, units: number): void {
    const left = this.left(meter) + units;
    while (this.reserve.length <= meter) this.reserve.push(0);
    this.reserve[meter] = Math.floor(left * RESERVE);
    this.arena.setLeft(this.row, meter, left - (this.reserve[meter] ?? 0));
  }

  /** Takes out what was put by; false when nothing was. */
  openReserve(): boolean {
    let any = false;
    this.reserve.forEach((units, meter) => {
      any ||= units > 0;
      this.arena.setLeft(this.row, meter, this.arena.left(this.row, meter) + units);
    });
    this.reserve.fill(0);
    return any;
  }

  /** What the present lease was spent on so far. */
  used(): number[] {
    return this.lease?.granted.map((granted, meter) => granted - this.left(meter)) ?? [];
  }

  /**
   * The place's own count. Null for the first place, which keeps none: what is spent there is what is spent nowhere else. It can be
   * chosen until something is counted or a handle relies on it; a place too many counts as the first.
   */
  usedAt(place: number): number[] | null {
    if (this.arena.place(this.row) === place) return null;
    const found = this.others.find((other) => other.place === place);
    if (found) return found.used;
    if (this.lease === null && this.others.length === 0 && !this.pinned) {
      this.arena.setPlace(this.row, place);
      return null;
    }
    if (this.others.length >= PLACES_MAX - 1) return null;
    const other: OtherPlace = { place, used: [] };
    this.others.push(other);
    return other.used;
  }

  /** Nothing may be spent any more of the present lease, and nothing is counted on it. */
  forgetLease(): void {
    this.lease = null;
    this.reserve = [];
    this.arena.clear(this.row);
    for (const { used } of this.others) used.length = 0;
  }
}

/** Takes down where it was spent, beside the account's first place. */
export function spendAt(used: number[], offsets: ArrayLike<number>, amounts: ArrayLike<number>, count: number): void {
  for (let i = 0; i < count; i++) {
    const meter = meterAt(offsets[i] as number);
    while (used.length <= meter) used.push(0);
    used[meter] = (used[meter] ?? 0) + (amounts[i] as number);
  }
}
