import { jsonAmount } from "../kernel/money.ts";
import type { Charge } from "../catalog/charge.ts";
import { rate } from "./rate.ts";
import type { RatedTier } from "./rate.ts";

/** A quantity as JSON, the way it is asked: a number where that is exact, else a decimal string (or "1/3"). */
export type JsonQuantity = number | string;

export interface RatedTierDocument {
  from: JsonQuantity;
  upTo: JsonQuantity | null;
  quantity: JsonQuantity;
  unitSize: number;
  units: JsonQuantity;
  priceUsdMicros: string;
  flatUsdMicros: string;
  amountUsdMicros: number;
}

/** What `POST /v1/pricing/rate` answers. */
export interface RatedDocument {
  amountUsdMicros: number;
  billable: JsonQuantity;
  tiers: RatedTierDocument[];
}

/** `rate` for JSON. Throws `validation_failed` where the amount is beyond what a JSON number holds exactly. */
export function ratedDocument(charge: Charge, quantity: number | string): RatedDocument {
  const rated = rate(charge, typeof quantity === "number" ? BigInt(quantity) : quantity);
  return {
    amountUsdMicros: jsonAmount(rated.amountUsdMicros, "quantity"),
    billable: jsonQuantity(rated.billable),
    tiers: rated.tiers.map(tierDocument),
  };
}

/** A tier for JSON. Throws `validation_failed` where its amount is beyond what a JSON number holds exactly. */
export function tierDocument(tier: RatedTier): RatedTierDocument {
  return {
    ...tier,
    from: jsonQuantity(tier.from),
    upTo: tier.upTo === null ? null : jsonQuantity(tier.upTo),
    quantity: jsonQuantity(tier.quantity),
    units: jsonQuantity(tier.units),
    amountUsdMicros: jsonAmount(tier.amountUsdMicros, "quantity"),
  };
}

/** The number where it is exact, else the text as it is. */
export function jsonQuantity(text: string): JsonQuantity {
  const number = Number(text);
  return Number.isSafeInteger(number) ? number : text;
}
