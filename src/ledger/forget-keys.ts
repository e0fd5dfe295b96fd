import type { Db } from "../stores/database.ts";
import { forgetKeys } from "./ledger-store.ts";

/** Keys in one statement: short enough to hold nobody up. */
const BATCH = 20_000;
/** Batches in one run; what is left waits for the next. */
const BATCHES_MAX = 500;

/** Forgets idempotency keys answered before `before` (epoch ms), in bounded batches. Answers how many. */
export async function forgetIdempotencyKeys(db: Db, before: number): Promise<number> {
  let forgotten = 0;
  for (let batch = 0; batch < BATCHES_MAX; batch++) {
    const dropped = await forgetKeys(db, before, BATCH);
    forgotten += dropped;
    if (dropped < BATCH) break;
  }
  return forgotten;
}
