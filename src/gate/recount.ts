import { z } from "zod";
import { findAccount } from "../accounts/account-store.ts";
import { readObjectLevels } from "../counters/object-levels.ts";
import { notFound, validationFailed } from "../kernel/errors.ts";
import { isObjectName, NAMESPACE_PATTERN, SERVICE_PATTERN } from "../kernel/ids.ts";
import { QUANTITY_MAX } from "../kernel/quantity.ts";
import { objectLevels, type ObjectPlace } from "../ledger/object-store.ts";
import type { AccountLoader, GateStores } from "./account-loader.ts";
import { deniedError } from "./denied.ts";
import type { Gate } from "./gate.ts";

/** Objects in one recount. */
export const RECOUNT_OBJECTS_MAX = 1_000;
/** Sizes told to Redis at once; more only wait in line there. */
const AT_ONCE = 50;

/** An object as its data plane measured it. */
export const measuredObjectSchema = z.strictObject({
  service: z.string().regex(SERVICE_PATTERN),
  namespace: z.string().regex(NAMESPACE_PATTERN),
  object: z.string().refine(isObjectName, "must be 1–512 characters without / and control characters"),
  storageBytes: z.int().min(0).max(QUANTITY_MAX),
});

export type MeasuredObject = z.infer<typeof measuredObjectSchema>;

/** An object whose size was not what Weir had. Bytes. */
export interface Difference extends ObjectPlace {
  before: number;
  after: number;
}

/**
 * Takes measured sizes for the truth: they are counted whatever the limits say. Answers the objects that differed. While an object
 * is written to, its size is a moving target: a data plane measures and tells within the object's turn.
 * Throws `not_found` (account) and `validation_failed` for an object that is named twice.
 */
export async function recount(
  stores: GateStores,
  loader: AccountLoader,
  force: Gate["force"],
  account: string,
  objects: readonly MeasuredObject[],
  now: number,
): Promise<Difference[]> {
  refuseDuplicates(objects);
  if (!(await findAccount(stores.db, account, now))) throw notFound(`Account ${account}`);
  if (!(await stores.counters.read(account, []))) await loader.load(account, "absent", 0, now);
  const before = await levels(stores, account, objects);
  const differing = objects.flatMap((o, i) => (before[i] === o.storageBytes ? [] : [{ ...o, before: before[i] ?? 0 }]));
  for (let i = 0; i < differing.length; i += AT_ONCE) {
    await Promise.all(differing.slice(i, i + AT_ONCE).map((object) => tell(force, account, object, now)));
  }
  return differing.map(({ service, namespace, object, before: was, storageBytes }) => ({
    service,
    namespace,
    object,
    before: was,
    after: storageBytes,
  }));
}

async function tell(
  force: Gate["force"],
  account: string,
  { service, namespace, object, storageBytes }: MeasuredObject,
  now: number,
): Promise<void> {
  const decision = await force({ account, service, namespace, object, usage: {}, storageBytes: { set: storageBytes } }, now);
  // Only a sum that no store carries exactly (2^53 bytes) is refused.
  if (!decision.allowed) throw deniedError(decision, now);
}

const fieldOf = ({ service, namespace, object }: ObjectPlace): string => `${service}/${namespace}/${object}`;

/** Sizes as Weir has them: Redis' own, and Postgres' for an object that did not change since the account was loaded. */
async function levels({ db, counters, storageMeter }: GateStores, account: string, objects: readonly ObjectPlace[]): Promise<number[]> {
  const here = await readObjectLevels(counters.redis, counters.keys, account, objects.map(fieldOf));
  const elsewhere = objects.filter((_, i) => here[i] === null);
  const booked = await objectLevels(db, account, storageMeter, elsewhere);
  let next = 0;
  return here.map((level) => level ?? booked[next++] ?? 0);
}

function refuseDuplicates(objects: readonly ObjectPlace[]): void {
  const seen = new Set<string>();
  objects.forEach((object, i) => {
    const field = fieldOf(object);
    if (seen.has(field)) throw validationFailed([{ path: `objects.${i}.object`, message: "is named twice" }]);
    seen.add(field);
  });
}
