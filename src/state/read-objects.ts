import { notFound } from "../kernel/errors.ts";
import type { Address, StateContext } from "./context.ts";
import type { Namespace } from "./namespace.ts";
import { getEntry, listEntries, type Entry } from "./object-database.ts";
import { listIndexed, seeObject, type ObjectEntry } from "./object-index.ts";
import { decodeCursor, toPage, type Page, type PageRequest } from "./page.ts";
import { naming } from "./put-value.ts";
import { translated } from "./sqlite-file.ts";

/*
 * Reads take the object's turn only while they read: what a write has not committed is not seen. Then the rows are
 * counted, and nothing is answered before the gate allows it.
 */

/** One value with its entry. A key that is not there counts as a miss, then throws `not_found`. */
export async function getValue(context: StateContext, address: Address, key: string): Promise<{ entry: Entry; value: Uint8Array }> {
  const found = await context.files.run(address.namespace, address.object, 0, (file) => file && translated(() => getEntry(file, key)));
  const usage = context.usageOf("get", { hit: found !== null });
  const now = context.clock.now();
  await context.admit({ ...naming(address, "get"), usage }, now);
  if (!found) throw notFound(`Key ${JSON.stringify(key)}`);
  await noteSeen(context, address, now);
  return found;
}

/** The object's keys in the order of their UTF-8 bytes. An object that was never written has none: it needs no creation. */
export async function listKeys(context: StateContext, address: Address, page: PageRequest): Promise<Page<Entry>> {
  const after = decodeCursor("keys", page.cursor);
  const rows = await context.files.run(
    address.namespace,
    address.object,
    0,
    (file) => file && translated(() => listEntries(file, after, page.limit + 1)),
  );
  const answer = toPage(rows ?? [], page.limit, "keys", (entry) => entry.key);
  const usage = context.usageOf("keys", { rows: answer.items.length });
  const now = context.clock.now();
  await context.admit({ ...naming(address, "keys"), usage }, now);
  await noteSeen(context, address, now);
  return answer;
}

/** The namespace's objects in the order of their UTF-8 bytes. */
export async function listObjects(context: StateContext, namespace: Namespace, page: PageRequest): Promise<Page<ObjectEntry>> {
  const after = decodeCursor("objects", page.cursor);
  const rows = await context.files.index<ObjectEntry[]>(namespace, [], (index) => listIndexed(index, after, page.limit + 1));
  const answer = toPage(rows, page.limit, "objects", (entry) => entry.objectKey);
  const usage = context.usageOf("objects", { rows: answer.items.length });
  const { account, service, name } = namespace;
  await context.admit({ account, service, namespace: name, operation: "objects", usage }, context.clock.now());
  return answer;
}

/** `lastSeenAt` is a courtesy: a read that was allowed is answered even when the index cannot be written. */
async function noteSeen(context: StateContext, { namespace, object }: Address, now: number): Promise<void> {
  await context.files.index(namespace, undefined, (index) => seeObject(index, object, now)).catch(context.onTrouble);
}
