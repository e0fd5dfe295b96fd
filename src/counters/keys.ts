import { DAY_MS } from "../kernel/window.ts";
import { BRANCH_MARK, partitionOfBranch } from "./branch-names.ts";

/**
 * Hash tags of the key space. All keys of an account, and the dirty set it is marked in, carry the tag of the account's
 * partition: one script sees them all, on a cluster too. 128 spread evenly over any cluster Weir is meant for, and the
 * roll-up asks 128 sets in one pipeline (docs/decisions/0001).
 */
export const PARTITIONS = 128;
const BRANCH_MARK_CODE = BRANCH_MARK.charCodeAt(0);

/** FNV-1a: cheap, even, and the same in every process and release. Of a branch (`branch-names.ts`): the one far from its account's. */
export function partitionOf(name: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < name.length; i++) {
    const code = name.charCodeAt(i);
    if (code === BRANCH_MARK_CODE) return partitionOfBranch((hash >>> 0) % PARTITIONS, Number(name.slice(i + 1)), PARTITIONS);
    hash = Math.imul(hash ^ code, 0x01000193);
  }
  return (hash >>> 0) % PARTITIONS;
}

/** The names of Redis keys, of accounts and of their branches. `prefix` separates deployments (and test runs) that share a server. */
export function keySpace(prefix: string) {
  // An account's keys are asked for one after the other: its hash is not worked out for each of them.
  let last = "";
  let lastTag = `${prefix}{${partitionOf(last)}}`;
  const tag = (account: string): string => {
    if (account !== last) [last, lastTag] = [account, `${prefix}{${partitionOf(account)}}`];
    return lastTag;
  };
  return {
    state: (account: string) => `${tag(account)}:s:${account}`,
    totals: (account: string, hour: number) => `${tag(account)}:t:${account}:${hour}`,
    /** Of an hour with very many totals: those that have not grown lately. */
    resting: (account: string, hour: number) => `${tag(account)}:b:${account}:${hour}`,
    objects: (account: string) => `${tag(account)}:o:${account}`,
    changedObjects: (account: string) => `${tag(account)}:c:${account}`,
    /** `daysBack` 0 is the UTC day of `now`: a key is found for 24 to 48 hours. */
    idempotency: (account: string, now: number, daysBack: -1 | 0 | 1) =>
      `${tag(account)}:i:${account}:${Math.floor(now / DAY_MS) - daysBack}`,
    keysToBook: (account: string) => `${tag(account)}:k:${account}`,
    reservations: (account: string) => `${tag(account)}:r:${account}`,
    expiries: (account: string) => `${tag(account)}:x:${account}`,
    leases: (account: string) => `${tag(account)}:l:${account}`,
    /** What people are shown of the latest denials; nothing is decided by it. */
    denials: (account: string) => `${tag(account)}:d:${account}`,
    crossings: (account: string) => `${tag(account)}:n:${account}`,
    dirty: (partition: number) => `${prefix}{${partition}}:dirty`,
    /** When everything had last been rolled up, epoch ms. */
    rolledUp: () => `${prefix}{0}:rolled-up`,
    dirtyOf: (account: string) => `${tag(account)}:dirty`,
  };
}

export type KeySpace = ReturnType<typeof keySpace>;
