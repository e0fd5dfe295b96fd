import { WeirError } from "../kernel/errors.ts";
import { BranchCalls, type BranchStanding, type Settled } from "./branch-calls.ts";

/** What a drawing back came to. */
export interface DrawnBack {
  /** Something had been lent. */
  drew: boolean;
  /** The account's epoch, where a branch's state was lost with what it had spent: only another epoch is right again. Else null. */
  lostEpoch: number | null;
}

const NOTHING: DrawnBack = { drew: false, lostEpoch: null };

/** What goes on between a hot account's home and its branches (docs/decisions/0041), as far as Redis alone is concerned. */
export class Branches {
  readonly calls: BranchCalls;

  constructor(calls: BranchCalls) {
    this.calls = calls;
  }

  isHot(account: string): boolean {
    return this.calls.hot.has(account);
  }

  /** Has the home told what every branch that can be reached has spent. Null where the account is not loaded. Throws `unavailable`. */
  async gather(account: string, meters: readonly string[], now: number): Promise<Settled | null> {
    const look = await this.#settle(account, [], [], now);
    if (!look) return null;
    const reads = await Promise.allSettled(this.#indexes(account, look).map((index) => this.calls.read(account, index, look.header.epoch)));
    const settled = await this.#settle(account, meters, reached(reads), now);
    if (settled && reached(reads).some((standing) => isBehind(standing, settled))) await this.drawBack(account, now);
    return settled;
  }

  /** What the home holds for branches, by meter and as it was told last. */
  look(account: string, meters: readonly string[], now: number): Promise<Settled | null> {
    return this.#settle(account, meters, [], now);
  }

  /**
   * Draws back what branches have not spent: from then on they spend nothing until they are filled, under the limits that stand then. With
   * `lent` only where something is lent of one of these meters. Throws `unavailable` where a branch cannot be reached: it may be spending.
   */
  async drawBack(account: string, now: number, lent?: readonly string[]): Promise<DrawnBack> {
    const look = await this.#settle(account, lent ?? [], [], now, lent !== undefined);
    if (!look) return NOTHING;
    const held = [...look.meters.values()].some((meter) => meter.lent.day + meter.lent.month > 0);
    if (lent && !held) return NOTHING;
    const { epoch } = look.header;
    const reads = await Promise.allSettled(this.#indexes(account, look).map((index) => this.calls.read(account, index, epoch, true)));
    const settled = await this.#settle(account, [], reached(reads), now);
    const away = reads.find((read) => read.status === "rejected");
    if (away) throw away.reason;
    return { drew: true, lostEpoch: settled && settled.lost.length > 0 ? settled.header.epoch : null };
  }

  /** Those that this process is told of, and those that were lent to under another setting. */
  #indexes(account: string, { branches }: Settled): number[] {
    return [...new Set([...this.calls.indexesOf(account), ...branches])];
  }

  async #settle(
    account: string,
    meters: readonly string[],
    standings: readonly BranchStanding[],
    now: number,
    pause = false,
  ): Promise<Settled | null> {
    const reply = await this.calls.settle(account, { now, catalogVersion: 0, meters, standings, pause });
    return reply.status === "load" ? null : reply;
  }
}

function reached(reads: readonly PromiseSettledResult<BranchStanding>[]): BranchStanding[] {
  return reads.flatMap((read) => {
    if (read.status === "fulfilled") return [read.value];
    if (read.reason instanceof WeirError) return [];
    throw read.reason;
  });
}

/** It spends under limits that are not in force any more: whoever changed them could not reach it. */
const isBehind = ({ header }: BranchStanding, { header: home }: Settled): boolean =>
  header !== null &&
  header.epoch === home.epoch &&
  header.catalogVersion >= 0 &&
  (header.limitsVersion < home.limitsVersion || header.catalogVersion < home.catalogVersion);
