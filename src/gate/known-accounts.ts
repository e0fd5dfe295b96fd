import type { Counted } from "../counters/check-call.ts";
import type { KeySpace } from "../counters/keys.ts";
import { AccountLine } from "../counters/quick-calls.ts";
import type { MeterState } from "./decision.ts";
import type { PreparedCheck } from "./prepared-check.ts";

/** Accounts known at once, about 2 KB each; beyond them the first known is forgotten, and its next check goes the whole way. */
const ACCOUNTS_MAX = 100_000;

/** A counter as the last full decision showed it. */
export interface KnownMeter {
  /** Where it stood at its binding limit. What is spent from there on moves `used` and `remaining` alike, so the same limit goes on binding. */
  readonly state: MeterState;
  /** The room it had then, and where that stands among its account's. */
  readonly room: number;
  readonly place: number;
}

/** What holds of an account as long as its leave does (quick.lua). Times in epoch ms. */
export interface KnownAccount {
  readonly stateKey: string;
  readonly line: AccountLine;
  readonly runId: string;
  readonly leave: string;
  readonly epoch: number;
  readonly catalogVersion: number;
  /** The receiving hour, and the bucket it is booked in. */
  readonly hour: number;
  readonly bucket: number;
  readonly totalsKey: string;
  /** Half-open: the time of its windows in which no reservation is due. */
  readonly from: number;
  readonly until: number;
  readonly payloadCeiling: number | null;
  readonly meters: Map<string, KnownMeter>;
  /** Checks as they came of late; made anew when `meters` change. */
  prepared: PreparedCheck[];
}

/** What this process knows of accounts from their last full decisions. */
export class KnownAccounts {
  readonly #keys: KeySpace;
  readonly #accounts = new Map<string, KnownAccount>();

  constructor(keys: KeySpace) {
    this.#keys = keys;
  }

  get(account: string): KnownAccount | undefined {
    return this.#accounts.get(account);
  }

  /** Learns from a decision that counted in `hour`: `states` as it shows them, of the counters `names`. */
  learn(account: string, hour: number, reply: Counted, names: readonly string[], states: Record<string, MeterState>): void {
    const { header, leave, rooms, places, meters } = reply;
    if (leave === "" || header.hour !== hour) return;
    let known = this.#accounts.get(account);
    if (!known || known.leave !== leave || known.runId !== header.runId || known.hour !== hour) {
      known = this.#put(account, hour, reply);
    }
    known.prepared = [];
    names.forEach((name, i) => {
      const [state, room, place, counters] = [states[name], rooms[i], places[i] ?? null, meters[i]];
      // Nothing used may be less than nothing, given back by a correction: then what is spent next does not show yet.
      const isShown = counters !== undefined && counters.day.used > 0 && counters.month.used > 0;
      if (state && room !== undefined && place !== null && isShown) known.meters.set(name, { state, room, place });
    });
  }

  #put(account: string, hour: number, { header, leave }: Counted): KnownAccount {
    const { day, month, expiry } = header;
    const known: KnownAccount = {
      stateKey: this.#keys.state(account),
      line: new AccountLine(),
      runId: header.runId,
      leave,
      epoch: header.epoch,
      catalogVersion: header.catalogVersion,
      hour,
      bucket: Math.max(hour, day.start, month.start),
      totalsKey: this.#keys.totals(account, hour),
      from: Math.max(day.start, month.start),
      until: Math.min(day.end, month.end, expiry ?? Infinity),
      payloadCeiling: header.payloadCeiling,
      meters: new Map(),
      prepared: [],
    };
    this.#accounts.delete(account);
    this.#accounts.set(account, known);
    if (this.#accounts.size > ACCOUNTS_MAX) {
      const [first] = this.#accounts.keys();
      if (first !== undefined) this.#accounts.delete(first);
    }
    return known;
  }
}
