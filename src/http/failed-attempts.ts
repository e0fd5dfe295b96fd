import { monotonicMs } from "../kernel/clock.ts";
import { RecentMap } from "../kernel/recent.ts";

/** Keys that may be wrong in a row, and how fast that comes back: a client with an old key retries for hours, a script with a typo for minutes. */
const FAILURES_MAX = 100;
const FAILURES_PER_S = 1;
/** Of an address beyond that, keys that are looked up all the same: somebody with a good key may sit behind the same address. */
const LOOKUPS_MAX = 5;
const LOOKUPS_PER_S = 5;
/** Addresses remembered; those that have been quiet for long are forgotten. */
const ADDRESSES_MAX = 20_000;
/** The part of an IPv6 address that one customer is given: whoever has it, has 2^64 addresses. */
const IPV6_GROUPS = 4;

interface Standing {
  failures: Bucket;
  lookups: Bucket;
}

/** Failed authentications by address, and what they cost who makes them. */
export class FailedAttempts {
  readonly #addresses = new RecentMap<string, Standing>(ADDRESSES_MAX);

  /** May a key that is not known to be good be looked up for this address? Null if so, else the seconds to wait. */
  waitBeforeLookUp(address: string): number | null {
    const standing = this.#addresses.get(networkOf(address));
    if (!standing || standing.failures.left >= 1) return null;
    return standing.lookups.take() ? null : Math.ceil(1 / LOOKUPS_PER_S);
  }

  /** Notes a failure. Null while there may be more of them, else the seconds to wait. */
  note(address: string): number | null {
    const network = networkOf(address);
    const standing = this.#addresses.get(network) ?? {
      failures: new Bucket(FAILURES_MAX, FAILURES_PER_S),
      lookups: new Bucket(LOOKUPS_MAX, LOOKUPS_PER_S),
    };
    this.#addresses.set(network, standing);
    return standing.failures.take() ? null : Math.ceil(1 / FAILURES_PER_S);
  }
}

/** What may be taken, and comes back with time. */
class Bucket {
  readonly #size: number;
  readonly #perSecond: number;
  #left: number;
  #at = monotonicMs();

  constructor(size: number, perSecond: number) {
    this.#size = size;
    this.#perSecond = perSecond;
    this.#left = size;
  }

  get left(): number {
    const now = monotonicMs();
    this.#left = Math.min(this.#size, this.#left + ((now - this.#at) / 1_000) * this.#perSecond);
    this.#at = now;
    return this.#left;
  }

  take(): boolean {
    if (this.left < 1) return false;
    this.#left -= 1;
    return true;
  }
}

/** An IPv4 address, also one written as IPv6, as it is; of an IPv6 address its first half. */
export function networkOf(address: string): string {
  const v4 = /^(?:::ffff:)?(\d{1,3}(?:\.\d{1,3}){3})$/i.exec(address)?.[1];
  if (v4 !== undefined || !address.includes(":")) return v4 ?? address;
  const [head = "", tail] = address.split("%", 1)[0]?.split("::", 2) ?? [];
  const before = head === "" ? [] : head.split(":");
  const after = tail === undefined || tail === "" ? [] : tail.split(":");
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - before.length - after.length);
  return [...before, ...Array<string>(zeros).fill("0"), ...after].slice(0, IPV6_GROUPS).join(":");
}
