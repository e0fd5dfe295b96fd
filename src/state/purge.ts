import type { StateContext } from "./context.ts";
import type { Namespace } from "./namespace.ts";
import { announcedObjects, listIndexed } from "./object-index.ts";
import { naming } from "./put-value.ts";

/** Objects removed side by side, and named per look at the index. */
const AT_ONCE = 16;
const BATCH = 512;

/**
 * Removes every object of a barred namespace and gives its storage back, then the folder. Stopped or killed at any point
 * it can simply be run again: an object leaves the disk only after the gate has its size as 0, which may be told twice.
 */
export async function purgeNamespace(context: StateContext, namespace: Namespace, signal: AbortSignal): Promise<void> {
  for (;;) {
    const names = await context.files.index<string[]>(namespace, [], (index) => [
      ...listIndexed(index, "", BATCH).map((entry) => entry.objectKey),
      ...announcedObjects(index, BATCH),
    ]);
    if (names.length === 0) break;
    for (let at = 0; at < names.length; at += AT_ONCE) {
      signal.throwIfAborted();
      await Promise.all(names.slice(at, at + AT_ONCE).map((object) => removeObject(context, namespace, object)));
    }
  }
  await context.files.removeFolder(namespace);
}

function removeObject(context: StateContext, namespace: Namespace, object: string): Promise<void> {
  return context.files.runRemoval(namespace, object, async () => {
    const request = { ...naming({ namespace, object }, "namespace-delete"), usage: {}, storageBytes: { set: 0 } };
    await context.admit(request, context.clock.now());
    await context.files.remove(namespace, object);
  });
}
