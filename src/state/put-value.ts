import type { AdmissionRequest, StateOperation } from "./admission.ts";
import { putEntry, newObjectImage, type Entry } from "./object-database.ts";
import { recordObject } from "./object-index.ts";
import type { Address, StateContext } from "./context.ts";
import { storageBytes, translated, type SqliteFile } from "./sqlite-file.ts";

/**
 * A payload above this is asked about before the object is touched. Below it the write waits in SQLite's page cache for
 * the answer, which never spills (sqlite-file.ts), so no refused byte reaches the disk either way.
 */
const ASK_FIRST_ABOVE_BYTES = 256 * 1024;

/** Writes one value, creating the object when it is new. Throws what the gate says; then nothing has changed. */
export async function putValue(context: StateContext, address: Address, key: string, value: Uint8Array): Promise<Entry> {
  const payloadBytes = Buffer.byteLength(key) + value.byteLength;
  const request = { ...naming(address, "put"), usage: context.usageOf("put"), payloadBytes };
  if (payloadBytes > ASK_FIRST_ABOVE_BYTES) await context.admit({ ...request, mode: "peek" }, context.clock.now());
  return context.files.run(address.namespace, address.object, payloadBytes, async (file) => {
    const now = context.clock.now();
    if (!file) return createObject(context, address, request, { key, value, now });
    return changeObject(context, address, file, now, () => ({ request, result: putEntry(file, key, value, now) }));
  });
}

/** What the gate is told of where an operation takes place. */
export const naming = ({ namespace, object }: Address, operation: StateOperation) => ({
  account: namespace.account,
  service: namespace.service,
  namespace: namespace.name,
  object,
  operation,
});

/**
 * Changes an object in one transaction that stays open while the gate is asked about the size it would have: COMMIT
 * when allowed, ROLLBACK when denied or when nobody answers. `change` applies the change and says what it counts.
 */
export async function changeObject<T>(
  context: StateContext,
  address: Address,
  file: SqliteFile,
  now: number,
  change: () => { request: AdmissionRequest; result: T },
): Promise<T> {
  const before = translated(() => storageBytes(file));
  file.begin();
  let bytes: number;
  let result: T;
  try {
    const staged = translated(change);
    bytes = storageBytes(file);
    result = staged.result;
    await context.admit({ ...staged.request, storageBytes: { set: bytes } }, now);
  } catch (error) {
    file.rollback();
    throw error;
  }
  try {
    file.commit();
  } catch (error) {
    file.rollback();
    await giveBack(context, address, before, now);
    throw error;
  }
  await file.flush();
  await noteSize(context, address, bytes, now);
  return result;
}

interface FirstValue {
  key: string;
  value: Uint8Array;
  now: number;
}

async function createObject(context: StateContext, address: Address, request: AdmissionRequest, first: FirstValue): Promise<Entry> {
  const { namespace, object } = address;
  const names = { account: namespace.account, service: namespace.service, namespace: namespace.name, object };
  const { image, entry, bytes } = newObjectImage(names, first.key, first.value, first.now);
  await context.admit({ ...request, storageBytes: { set: bytes } }, first.now);
  try {
    await context.files.create(namespace, object, image, first.now);
  } catch (error) {
    await context.files.remove(namespace, object).catch(context.onTrouble);
    await giveBack(context, address, 0, first.now);
    throw error;
  }
  return entry;
}

/** The gate has counted growth that the disk then refused: tell it the size as it is. The operation's own error matters more than this one's. */
async function giveBack(context: StateContext, address: Address, bytes: number, now: number): Promise<void> {
  await context.admit({ ...naming(address, "put"), usage: {}, storageBytes: { set: bytes } }, now).catch(context.onTrouble);
}

/** The write is durable and counted by now: when the note fails, the index is behind until the object is opened next. */
async function noteSize(context: StateContext, { namespace, object }: Address, bytes: number, now: number): Promise<void> {
  await context.files.index(namespace, undefined, (index) => recordObject(index, object, bytes, now)).catch(context.onTrouble);
}
