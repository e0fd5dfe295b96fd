import type { Catalog } from "../catalog/catalog.ts";
import { defaultCatalog, parseCatalog } from "../catalog/parse.ts";
import type { Api } from "./api.ts";
import { CommandFailure } from "./failure.ts";

/** The catalogue in force. Throws `CommandFailure` where the key may not read it. */
export async function readCatalog(api: Api): Promise<Catalog> {
  return parseCatalog(await api.call("GET", "/v1/catalog", { withoutAccount: true }));
}

/** The catalogue in force, or the one that ships with Weir where the key may not read it (an account's own key). */
export async function readCatalogOrDefault(api: Api): Promise<Catalog> {
  try {
    return await readCatalog(api);
  } catch (error) {
    if (error instanceof CommandFailure && ["forbidden", "not_found"].includes(error.problem.code)) return defaultCatalog();
    throw error;
  }
}
