import { WeirError } from "../kernel/errors.ts";
import { bookedObjectNames } from "../ledger/object-store.ts";
import type { Db } from "../stores/database.ts";
import type { StateContext } from "./context.ts";
import type { Namespace } from "./namespace.ts";
import { listIndexed } from "./object-index.ts";
import { namespacesFrom } from "./recount-store.ts";
import { storageBytes, translated } from "./sqlite-file.ts";

/** Objects measured in one call: opening a cold file costs about a millisecond. */
const OBJECTS_MAX = 200;
/** Namespaces looked at in one call: empty ones cost a query each. */
const NAMESPACES_MAX = 50;

/** A measured object. */
interface Measured {
  service: string;
  namespace: string;
  object: string;
  storageBytes: number;
}

/** Takes one measured size for the truth; answers what differed. */
export type Reconcile<D> = (object: Measured) => Promise<D[]>;

/** Where a walk stands: after this object of the namespace of this number ("" before its first). */
export interface RecountPosition {
  namespace: number;
  object: string;
}

export interface RecountWalk {
  account: string;
  /** Null for all services. */
  service: string | null;
  /** The gauge that objects' sizes belong to. */
  meter: string;
  after: RecountPosition | null;
}

export interface RecountPage<D> {
  /** How many objects were measured. */
  objects: number;
  differences: D[];
  /** Where the next page begins, null at the end. */
  last: RecountPosition | null;
}

/**
 * Measures the next objects of an account and reconciles them: those on disk, and those that the ledger believes to be. Each is measured
 * and told within its turn, so no write comes between. Names are walked in order; what is created behind the walk was told by its own write.
 */
export async function recountObjects<D>(
  context: StateContext,
  db: Db,
  where: RecountWalk,
  reconcile: Reconcile<D>,
): Promise<RecountPage<D>> {
  const page: RecountPage<D> = { objects: 0, differences: [], last: null };
  const namespaces = await namespacesFrom(db, where.account, where.service, where.after?.namespace ?? 0, NAMESPACES_MAX);
  for (const namespace of namespaces) {
    const after = namespace.number === where.after?.namespace ? where.after.object : "";
    const limit = OBJECTS_MAX - page.objects;
    const names = await namesOf(context, db, namespace, { meter: where.meter, after, limit });
    for (const object of names) page.differences.push(...(await measure(context, namespace, object, reconcile)));
    page.objects += names.length;
    page.last = { namespace: namespace.number, object: names.at(-1) ?? after };
    if (names.length === limit) return page;
    page.last = { namespace: namespace.number + 1, object: "" };
  }
  return namespaces.length < NAMESPACES_MAX ? { ...page, last: null } : page;
}

interface NamePage {
  meter: string;
  after: string;
  limit: number;
}

/** The next names of a namespace: of objects on disk, and of those whose sizes are booked. */
async function namesOf(context: StateContext, db: Db, namespace: Namespace, { meter, after, limit }: NamePage): Promise<string[]> {
  const onDisk = await context.files.index<string[]>(namespace, [], (index) => listIndexed(index, after, limit).map((o) => o.objectKey));
  const { account, service, name } = namespace;
  const booked = await bookedObjectNames(db, { account, meter, service, namespace: name, after }, limit);
  // By UTF-8 bytes, as both lists are: JavaScript's own order differs beyond U+FFFF.
  const names = [...new Set([...onDisk, ...booked])].toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  return names.slice(0, limit);
}

async function measure<D>(context: StateContext, namespace: Namespace, object: string, reconcile: Reconcile<D>): Promise<D[]> {
  const { service, name } = namespace;
  try {
    return await context.files.run(namespace, object, 0, (file) => {
      const bytes = file === null ? 0 : translated(() => storageBytes(file));
      return reconcile({ service, namespace: name, object, storageBytes: bytes });
    });
  } catch (error) {
    // The namespace was deleted during the walk: its deletion tells the sizes itself.
    if (error instanceof WeirError && error.code === "not_found" && context.files.barred(namespace)) return [];
    throw error;
  }
}
