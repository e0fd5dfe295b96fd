import { hardLimit } from "../counters/layout.ts";
import type { LeaseOperation } from "../counters/lease-call.ts";
import { meterOfTotal, spentOf } from "../counters/lease-record.ts";
import { PERIODS } from "../kernel/window.ts";
import { bookedByLease, noteLate, type LeaseRow } from "../ledger/lease-store.ts";
import { bookUsage, foreignSeqs } from "../ledger/ledger-store.ts";
import type { GateStores } from "./account-loader.ts";
import type { ForeignSums } from "./foreign-sums.ts";
import { lateAnswer, type LeaseAnswer } from "./lease-answer.ts";

/**
 * Settles a lease whose life in Redis, or whose month, is over: straight into Postgres, under the life that lent it, where it stands
 * against what that life was granted. As absolutes of its one bucket: a copy of an earlier settle that comes later changes nothing.
 */
export async function settleLate(
  stores: GateStores,
  sums: ForeignSums,
  row: LeaseRow,
  { totals, seq, kind }: LeaseOperation,
  now: number,
): Promise<LeaseAnswer> {
  const { db } = stores;
  const { account } = row;
  const isNew = seq === null || seq > row.seq;
  if (isNew && totals.length > 0)
    await bookUsage(
      db,
      totals.map(([label, total]) => bucketTotal(row, label, total)),
      [],
    );
  const closed = await noteLate(db, row, { seq: isNew ? seq : null, isReturned: kind === "return" }, now);
  await sums.tell(await foreignSeqs(db, [account]), now);
  const used = spentOf(await bookedByLease(db, row));
  const over = [...used].flatMap(([meter, quantity]) => (quantity > (row.granted.get(meter) ?? 0) ? [meter] : []));
  return lateAnswer(row, used, { closed, now, ...(await limitsPassed(stores, account, over)) });
}

function bucketTotal(row: LeaseRow, label: string, quantity: number) {
  const [service = "", namespace = ""] = label.split("/");
  const { account, bucket, epoch, lease: source } = row;
  return { account, bucket, meter: meterOfTotal(label), service, namespace, epoch, source, quantity };
}

/** Whether a limit of the meters is passed, and the limits' version; as far as Redis answers. */
async function limitsPassed({ counters }: GateStores, account: string, meters: string[]) {
  const present = await counters.read(
    account,
    meters.map((name) => ({ name, kind: "counter" as const })),
  );
  const exceeded = [...(present?.meters.values() ?? [])].some((standing) =>
    PERIODS.some((period) => {
      const limit = hardLimit(standing[period]);
      return limit !== null && standing[period].used + standing[period].held > limit;
    }),
  );
  return { exceeded, limitsVersion: present?.header.limitsVersion ?? 0 };
}
