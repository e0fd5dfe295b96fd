import type { DueInvoice } from "./adapter.ts";
import { inMinorUnits } from "./minor-units.ts";

/** An invoice item at Stripe. */
export interface Item {
  /** Names it among the invoice's own: the line's number, from 1. */
  line: string;
  amount: number;
  description: string;
  /** Seconds since the epoch, the end not before the start. */
  period: { start: number; end: number };
}

/** Stripe takes 250 items an invoice. What is beyond is one item. */
const ITEMS_MAX = 250;
const DESCRIPTION_LENGTH_MAX = 500;

/**
 * An invoice's lines as items in the currency's smallest unit: they add up to what is to be collected, rounded once. What credit notes took
 * off is an item of its own; a line of nothing is none. Pure: every attempt comes to the same items.
 */
export function itemsOf({ lines, creditedUsdMicros, currency }: DueInvoice): Item[] {
  const shown = lines.length > ITEMS_MAX - 2 ? lines.slice(0, ITEMS_MAX - 2) : lines;
  const rest = lines.slice(shown.length);
  const whole = {
    start: seconds(lines.map(({ period }) => period.start).sort()[0]),
    end: seconds(
      lines
        .map(({ period }) => period.end)
        .sort()
        .at(-1),
    ),
  };
  const parts = [
    ...shown.map((line, i) => ({
      line: String(i + 1),
      micros: BigInt(line.amountUsdMicros),
      description: line.description,
      period: { start: seconds(line.period.start), end: seconds(line.period.end) },
    })),
    {
      line: "rest",
      micros: rest.reduce((sum, line) => sum + BigInt(line.amountUsdMicros), 0n),
      description: `${rest.length} more lines`,
      period: whole,
    },
    { line: "credited", micros: -BigInt(creditedUsdMicros), description: "Credit notes", period: whole },
  ].filter(({ micros }) => micros !== 0n);
  const amounts = inMinorUnits(
    parts.map(({ micros }) => micros),
    currency,
  );
  return parts.flatMap(({ line, description, period }, i) => {
    const amount = amounts[i] ?? 0;
    return amount === 0 ? [] : [{ line, amount, description: description.slice(0, DESCRIPTION_LENGTH_MAX), period }];
  });
}

const seconds = (time: string | undefined): number => Math.floor(Date.parse(time ?? "") / 1_000);
