import { InvalidArgumentError } from "commander";
import { QUANTITY_MAX } from "../kernel/quantity.ts";

/** Reads a whole number from `min` to `max`; the error says what was wanted. */
export const integer =
  (min: number, max: number = QUANTITY_MAX) =>
  (text: string): number => {
    const n = /^-?\d{1,16}$/.test(text) ? Number(text) : NaN;
    if (Number.isSafeInteger(n) && n >= min && n <= max) return n;
    throw new InvalidArgumentError(`It must be a whole number from ${min} to ${max}.`);
  };

/** Reads an http or https URL; it is answered as it was written. */
export function httpUrl(text: string): string {
  if (URL.canParse(text) && /^https?:$/.test(new URL(text).protocol)) return text;
  throw new InvalidArgumentError("It must be an http or https URL.");
}

/** Collects `meter=quantity` pairs of a repeatable option. */
export function meterQuantity(text: string, earlier: Record<string, number> = {}): Record<string, number> {
  const [, meter, amount] = /^([a-z][a-z0-9_]*)=(\d{1,16})$/.exec(text) ?? [];
  if (meter === undefined || amount === undefined) throw new InvalidArgumentError("It must look like state_requests=1.");
  return { ...earlier, [meter]: integer(0)(amount) };
}
