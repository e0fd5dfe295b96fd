import type { Address, StateContext } from "./context.ts";
import { removeEntry } from "./object-database.ts";
import { changeObject, naming } from "./put-value.ts";
import { translated } from "./sqlite-file.ts";

const HAS = "select 1 from entries where key = ?";

/** Deletes one value; answers whether there was one. The object stays, with the pages that an empty database needs. */
export function deleteValue(context: StateContext, address: Address, key: string): Promise<boolean> {
  const request = (hit: boolean) => ({ ...naming(address, "delete-value"), usage: context.usageOf("delete-value", { hit }) });
  return context.files.run(address.namespace, address.object, 0, async (file) => {
    const now = context.clock.now();
    const hit = file !== null && translated(() => file.statement(HAS).get(key)) !== undefined;
    if (!hit) {
      await context.admit(request(false), now);
      return false;
    }
    return changeObject(context, address, file, now, () => ({ request: request(true), result: removeEntry(file, key) }));
  });
}
