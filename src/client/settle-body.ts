import type { AccountState } from "./account-state.ts";
import type { PlaceName, PlaceNames } from "./places.ts";
import type { PlaceUsage, SettleBody } from "./types.ts";

/** What an account's lease was spent on so far, as a settle says it. */
export function settleBody(
  state: AccountState,
  { names, placeNames }: { names: readonly string[]; placeNames: PlaceNames },
  seq: number,
  more: { renew?: Record<string, number>; close?: true },
): SettleBody {
  const rest = state.used();
  const used = named(rest, names);
  const places: PlaceUsage[] = [];
  for (const place of state.others) {
    place.used.forEach((n, meter) => (rest[meter] = (rest[meter] ?? 0) - n));
    addPlace(places, placeNames.nameOf(place.place), named(place.used, names));
  }
  addPlace(places, placeNames.nameOf(state.arena.place(state.row)), named(rest, names));
  const renew: Pick<SettleBody, "renew" | "fair"> = more.renew ? { renew: more.renew, fair: true } : {};
  return { seq, used, places, ...renew, ...(more.close ? { close: true } : {}) };
}

function addPlace(places: PlaceUsage[], { service, namespace }: PlaceName, used: Record<string, number>): void {
  if (Object.keys(used).length === 0 || (service === "" && namespace === "")) return;
  places.push({ ...(service === "" ? {} : { service }), ...(namespace === "" ? {} : { namespace }), used });
}

function named(quantities: readonly number[], names: readonly string[]): Record<string, number> {
  const used: Record<string, number> = {};
  quantities.forEach((n, meter) => {
    if (n > 0) used[names[meter] ?? ""] = n;
  });
  return used;
}
