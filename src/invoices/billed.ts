import { iso, type Window } from "../kernel/window.ts";
import type { IssuedInvoice } from "./earlier-store.ts";
import type { Basis } from "./invoice.ts";
import { billedKey, type Billed } from "./late-lines.ts";
import { MINIMUM } from "./usage-lines.ts";

/** What a month has been billed for by all of `invoices` (oldest first): the last word on each meter. A void invoice has billed too. */
export function billedFor(month: Window, invoices: readonly IssuedInvoice[]): Billed {
  const start = iso(month.start);
  const billed = new Map<string, Basis>();
  for (const { lines } of invoices) {
    for (const { meter, explain } of lines) {
      if (explain.basis && explain.plan !== undefined && explain.month?.start === start)
        billed.set(billedKey(explain.plan, meter ?? MINIMUM), explain.basis);
    }
  }
  return billed;
}

/** What the invoice before billed of a month's fee; null while it is a draft, which will follow what is true by then. */
export function feeBilledFor(month: Window, invoices: readonly IssuedInvoice[]): bigint | null {
  const before = invoices.find(({ end }) => end === month.start);
  if (before?.state === "draft") return null;
  const start = iso(month.start);
  const fees = (before?.lines ?? []).filter(({ explain }) => explain.basis === undefined && explain.month?.start === start);
  return fees.reduce((sum, line) => sum + BigInt(line.amountUsdMicros), 0n);
}
