import { randomBase62 } from "../kernel/ids.ts";
import type { AnsweredKey, BucketTotal, GaugeBucket, ObjectLevel } from "./bucket.ts";

/**
 * This process' own copy of what it has acknowledged, until Postgres holds it: with Redis' the second one, since no crash of one part may lose it.
 * Totals are cumulative and booked by "the greatest wins", so booking a copy that Redis also brings is harmless.
 */
export class UnbookedTotals {
  /**
   * Names what this process counts, in Redis and in the ledger. Minted at every start: a host name would let a restarted counter hide
   * an older one. Minted anew too when answers of Redis were lost: Redis' total then holds what our copy does not, and counting on
   * under one name, the greater of the two would hide the rest of the other (150 fault runs lost 106 units by it).
   */
  get source(): string {
    return this.#source;
  }

  #source: string;
  readonly #accounts = new Map<string, AccountTotals>();

  constructor(source: string) {
    this.#source = source;
  }

  /** Adds an acknowledged quantity. `place` is `service/namespace`. */
  add(account: string, source: string, epoch: number, bucket: number, place: string, meter: string, quantity: number): void {
    this.total(account, source, epoch, bucket, place, meter).quantity += quantity;
  }

  /** The total such quantities add to, for whoever adds to it often: to find it takes 1 µs. Once it `isForgotten`, another is to be asked for. */
  total(account: string, source: string, epoch: number, bucket: number, place: string, meter: string): RunningTotal {
    const { totals } = this.#of(account);
    const label = `${source}/${epoch}/${bucket}/${place}/${meter}`;
    let total = totals.get(label);
    if (!total) totals.set(label, (total = { bucket, quantity: 0, booked: 0, isForgotten: false }));
    return total;
  }

  /** Notes a lease's settled total of its bucket; of two the greater stays. The lease is the source: nobody else counts under its name. */
  raise(account: string, lease: string, epoch: number, bucket: number, place: string, meter: string, total: number): void {
    const leased = (this.#of(account).leased ??= new Map());
    const label = `${lease}/${epoch}/${bucket}/${place}/${meter}`;
    if (total > (leased.get(label) ?? 0)) leased.set(label, total);
  }

  /** Notes an object's acknowledged size; of two changes the later by (epoch, seq) stays. */
  setLevel(level: ObjectLevel): void {
    const levels = (this.#of(level.account).levels ??= new Map());
    const key = levelKey(level);
    const before = levels.get(key);
    if (!before || isLater(level, before)) levels.set(key, level);
  }

  /** Notes a gauge's bucket; of two states the later by seq stays. */
  setGauge({ from, until, ...gauge }: GaugeBucket): void {
    const gauges = (this.#of(gauge.account).gauges ??= new Map());
    const key = gaugeKey(gauge);
    const before = gauges.get(key);
    if (!before || gauge.seq > before.seq) gauges.set(key, { ...gauge, from, until });
  }

  /** Notes the answer to an idempotency key. */
  setKey(key: AnsweredKey): void {
    (this.#of(key.account).keys ??= []).push(key);
  }

  /** From here on counts under another name: what Redis has under this one may be more than what is copied here. */
  renew(): void {
    this.#source = randomBase62(12);
  }

  accounts(): string[] {
    return [...this.#accounts.keys()];
  }

  /**
   * An account's copies as they stand now, of totals those that have grown since they were booked. Each name this process has counted under goes on
   * standing until its bucket is over: with 1,497 names in ten minutes, booking them all each second was most of what Postgres did.
   */
  copiesOf(account: string): Copies {
    const own = this.#accounts.get(account);
    return {
      totals: this.#totalsOf(account),
      levels: [...(own?.levels?.values() ?? [])],
      gauges: [...(own?.gauges?.values() ?? [])],
      keys: [...(own?.keys ?? [])],
    };
  }

  #totalsOf(account: string): BucketTotal[] {
    const own = this.#accounts.get(account);
    const counted: [label: string, quantity: number][] = [];
    for (const [label, { quantity, booked }] of own?.totals ?? []) if (quantity > booked) counted.push([label, quantity]);
    return [...counted, ...(own?.leased ?? [])].map(([label, quantity]) => {
      const [source, epoch, bucket, service, namespace, meter] = label.split("/");
      return {
        account,
        epoch: Number(epoch),
        bucket: Number(bucket),
        service: service ?? "",
        namespace: namespace ?? "",
        meter: meter ?? "",
        source: source ?? "",
        quantity,
      };
    });
  }

  /** Forgets what Postgres now holds of any accounts, whoever brought it there; see `forget`. */
  forgetAll(booked: Copies, openFrom: number): void {
    for (const [account, copies] of byAccount(booked)) this.forget(account, copies, openFrom);
  }

  /** Forgets what Postgres now holds of one account; totals only of buckets that began before `openFrom` and did not grow since. */
  forget(account: string, { totals: booked, levels, gauges, keys }: Copies, openFrom: number): void {
    const own = this.#accounts.get(account);
    if (!own) return;
    for (const { source, epoch, bucket, service, namespace, meter, quantity } of booked) {
      const label = `${source}/${epoch}/${bucket}/${service}/${namespace}/${meter}`;
      const total = own.totals.get(label);
      if (total) total.booked = Math.max(total.booked, quantity);
      // A lease's is told anew as a whole.
      if ((own.leased?.get(label) ?? 0) <= quantity) own.leased?.delete(label);
    }
    for (const [label, total] of own.totals) {
      // An open bucket's total goes on growing from here; forgetting it would restart the copy below what is booked.
      if (total.bucket >= openFrom || total.quantity > total.booked) continue;
      total.isForgotten = true;
      own.totals.delete(label);
    }
    for (const gauge of gauges) {
      const key = gaugeKey(gauge);
      if ((own.gauges?.get(key)?.seq ?? Infinity) <= gauge.seq) own.gauges?.delete(key);
    }
    for (const level of levels) {
      const key = levelKey(level);
      const kept = own.levels?.get(key);
      if (kept && !isLater(kept, level)) own.levels?.delete(key);
    }
    if (own.keys && keys.length > 0) {
      const answered = new Set(keys.map(({ keyHash }) => keyHash.toString("latin1")));
      own.keys = own.keys.filter(({ keyHash }) => !answered.has(keyHash.toString("latin1")));
    }
    if (own.leased?.size === 0) own.leased = null;
    if (own.levels?.size === 0) own.levels = null;
    if (own.gauges?.size === 0) own.gauges = null;
    if (own.keys?.length === 0) own.keys = null;
    if (own.totals.size === 0 && !own.leased && !own.levels && !own.gauges && !own.keys) this.#accounts.delete(account);
  }

  #of(account: string): AccountTotals {
    let own = this.#accounts.get(account);
    if (!own) {
      own = { totals: new Map(), leased: null, levels: null, gauges: null, keys: null };
      this.#accounts.set(account, own);
    }
    return own;
  }
}

const levelKey = ({ service, namespace, object }: ObjectLevel): string => `${service}/${namespace}/${object}`;

const isLater = (one: ObjectLevel, other: ObjectLevel): boolean =>
  one.epoch > other.epoch || (one.epoch === other.epoch && one.seq > other.seq);

const gaugeKey = ({ epoch, bucket, meter }: Omit<GaugeBucket, "from" | "until">): string => `${epoch}/${bucket}/${meter}`;

function byAccount(copies: Copies): Map<string, Copies> {
  const found = new Map<string, Copies>();
  const of = ({ account }: { account: string }): Copies => {
    let own = found.get(account);
    if (!own) found.set(account, (own = { totals: [], levels: [], gauges: [], keys: [] }));
    return own;
  };
  for (const total of copies.totals) of(total).totals.push(total);
  for (const level of copies.levels) of(level).levels.push(level);
  for (const gauge of copies.gauges) of(gauge).gauges.push(gauge);
  for (const key of copies.keys) of(key).keys.push(key);
  return found;
}

/** What this process has acknowledged of one meter, in one bucket and place, under one name. */
export interface RunningTotal {
  /** Epoch ms. */
  readonly bucket: number;
  quantity: number;
  /** What Postgres has of it. */
  booked: number;
  /** Postgres has it; what is added to it from now on is nowhere. */
  isForgotten: boolean;
}

/** What there is nothing of is null: an empty map is 190 bytes, and of a million accounts most have totals alone. */
interface AccountTotals {
  totals: Map<string, RunningTotal>;
  leased: Map<string, number> | null;
  levels: Map<string, ObjectLevel> | null;
  gauges: Map<string, GaugeBucket> | null;
  keys: AnsweredKey[] | null;
}

/** One account's copies at one moment. */
export interface Copies {
  totals: BucketTotal[];
  levels: ObjectLevel[];
  gauges: GaugeBucket[];
  keys: AnsweredKey[];
}
