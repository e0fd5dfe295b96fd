import { findAccount } from "../accounts/account-store.ts";
import { notFound, WeirError } from "../kernel/errors.ts";
import { windowsAt } from "../kernel/window.ts";
import { rollUpAccounts } from "../ledger/roll-up.ts";
import { reclaimDead, type Reclaimed } from "../ledger/stranded-store.ts";
import type { AccountLoader, GateStores } from "./account-loader.ts";

/**
 * Frees an account's stranded budget on the operator's word that every Redis it was lent to is gone for good and that no process
 * holds usage of it any more (docs/decisions/0007). What can be made sure of is: all that this Redis and every living process still hold
 * is booked first, and Redis must be in the account's present life. Throws `not_found`, and `conflict` where it is not.
 */
export async function reclaim(stores: GateStores, loader: AccountLoader, accountId: string, now: number): Promise<Reclaimed[]> {
  const { db, counters, recall } = stores;
  const account = await findAccount(db, accountId, now);
  if (!account) throw notFound(`Account ${accountId}`);
  if (!(await counters.read(accountId, []))) await loader.load(accountId, "absent", 0, now);
  // A branch of a dead life spends no more from here on.
  await loader.drawBack(accountId, now);
  // Every living process books what it acknowledged; what a dead one took with it is what the operator vouches for.
  await recall.all();
  await rollUpAccounts(stores, [accountId], now);
  const installed = (await counters.read(accountId, []))?.header.epoch;
  const freed = installed === undefined ? null : await reclaimDead(db, accountId, installed, windowsAt(now, account.calendar), now);
  if (freed === null) throw new WeirError("conflict", "The account was being loaded into Redis just now: ask again.");
  await loader.refresh(accountId, now);
  return freed;
}
