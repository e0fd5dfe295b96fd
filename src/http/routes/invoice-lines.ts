import { z } from "zod";
import type { Engine } from "../../engine.ts";
import type { ExplainedLine, LedgerSpan } from "../../invoices/explain.ts";
import { iso } from "../../kernel/window.ts";
import { jsonQuantity } from "../../rating/rated-document.ts";
import type { App } from "../app.ts";
import { allow } from "../auth.ts";
import { lineSchema } from "./invoice-answers.ts";
import { invoiceParams, seenBy } from "./invoices.ts";

const instant = z.iso.datetime();
const quantity = z.union([z.int(), z.string()]);
const span = z.object({ start: instant, quantity });

const explainedSchema = z.object({
  line: lineSchema,
  reckonedUsdMicros: z.int().nullable(),
  agrees: z.boolean(),
  ledger: z
    .object({
      month: z.object({ start: instant, end: instant }),
      unit: z.string(),
      quantity,
      days: z.array(span),
      hours: z.array(span),
      corrections: z.array(z.object({ id: z.string(), at: instant, quantity, reason: z.string() })),
      bookedSince: quantity,
    })
    .nullable(),
  ledgerKept: z.boolean(),
});

const params = invoiceParams.extend({ line: z.string().regex(/^[1-9]\d{0,4}$/, "must be a line's number, from 1") });

/** The lines of invoices, explained. */
export function invoiceLineRoutes(app: App, engine: Engine): void {
  app.route({
    method: "GET",
    url: "/v1/invoices/:invoice/lines/:line",
    ...allow("account", "read_only", "admin"),
    schema: {
      tags: ["invoices"],
      summary: "One line, walked back to the hourly buckets it was rated from",
      description:
        "`reckonedUsdMicros` is the amount reckoned again; `ledger` is what is booked now of the line's month, meter and plan, by UTC day and " +
        "hour (a gauge's in byte-milliseconds; numbers beyond 2^53 − 1 as text). What was booked since the line was made is told in " +
        "`bookedSince`: it stands on a later invoice, or will. Where a deployment does not keep usage that old, `ledgerKept` is false and `ledger` null.",
      params,
      response: { 200: explainedSchema },
    },
    handler: async (request) => {
      const { invoice, line } = request.params;
      const number = Number(line);
      return answerOf(await engine.invoices.explain(invoice, number, seenBy(request), engine.clock.now()), `${invoice}.${number}`);
    },
  });
}

const spanAnswer = ({ start, quantity: held }: LedgerSpan) => ({ start: iso(start), quantity: jsonQuantity(String(held)) });

function answerOf({ line, reckonedUsdMicros, ledger, ledgerKept }: ExplainedLine, id: string): z.infer<typeof explainedSchema> {
  return {
    line: { ...line, id },
    reckonedUsdMicros,
    agrees: reckonedUsdMicros === null || reckonedUsdMicros === line.amountUsdMicros,
    ledger: ledger && {
      month: { start: iso(ledger.month.start), end: iso(ledger.month.end) },
      unit: ledger.unit,
      quantity: jsonQuantity(String(ledger.quantity)),
      days: ledger.days.map(spanAnswer),
      hours: ledger.hours.map(spanAnswer),
      corrections: ledger.corrections.map(({ at, quantity: given, ...entry }) => ({
        ...entry,
        at: iso(at),
        quantity: jsonQuantity(String(given)),
      })),
      bookedSince: jsonQuantity(String(ledger.bookedSince)),
    },
    ledgerKept,
  };
}
