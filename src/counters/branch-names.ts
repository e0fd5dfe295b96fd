import { clusterSlotOf, CLUSTER_SLOTS } from "../stores/redis-cluster.ts";

/**
 * A hot account's budget is spread over slots (docs/decisions/0041): its home, which has its own name, and branches, named
 * `<account>~1`, `<account>~2` …; each has keys of its own, in a partition of its own.
 */

/** No account's name may hold it. */
export const BRANCH_MARK = "~";
/** Slots of one account, its home among them. Each costs every usage report a trip, and an exact denial too. */
export const SLOTS_MAX = 16;

export const branchName = (account: string, index: number): string => `${account}${BRANCH_MARK}${index}`;

/** The account that a name in Redis is of. */
export function accountOf(name: string): string {
  const mark = name.indexOf(BRANCH_MARK);
  return mark < 0 ? name : name.slice(0, mark);
}

/** By home's partition, what its branches have been found to be in, in their order. */
const found = new Map<number, number[]>();

/**
 * Where a branch lives: as far round the ring of cluster slots from its home and its elder branches as can be (1/2, 1/4, 3/4, 1/8 … of it),
 * so that k slots are on k primaries where there are so many with equal shares. It does not depend on k: a branch stays where it is when k
 * is changed.
 */
export function partitionOfBranch(home: number, index: number, partitions: number): number {
  let branches = found.get(home);
  if (!branches) found.set(home, (branches = spread(home, partitions)));
  return branches[index - 1] ?? home;
}

function spread(home: number, partitions: number): number[] {
  const slots = Array.from({ length: partitions }, (_, partition) => clusterSlotOf(`{${partition}}`));
  const free = new Set(slots.keys());
  free.delete(home);
  return Array.from({ length: SLOTS_MAX - 1 }, (_, i) => {
    const target = ((slots[home] ?? 0) + Math.round(mirrored(i + 1) * CLUSTER_SLOTS)) % CLUSTER_SLOTS;
    let best = home;
    let least = Infinity;
    for (const partition of free) {
      const apart = Math.abs((slots[partition] ?? 0) - target);
      const distance = Math.min(apart, CLUSTER_SLOTS - apart);
      if (distance < least) [best, least] = [partition, distance];
    }
    free.delete(best);
    return best;
  });
}

/** The bits of `n` behind the point, the last first: 1/2, 1/4, 3/4, 1/8, 5/8 … */
function mirrored(n: number): number {
  let value = 0;
  for (let half = 1 / 2; n > 0; half /= 2, n >>= 1) value += (n & 1) * half;
  return value;
}
