import { z } from "zod";
import type { Engine } from "../../engine.ts";
import { listParked } from "../../invoices/parked-store.ts";
import { iso } from "../../kernel/window.ts";
import type { App } from "../app.ts";
import { allow } from "../auth.ts";
import { decodeCursor, encodeCursor, pageLimit, pageOf, pageQuerySchema } from "../page.ts";
import { invoiceAnswer, invoiceSchema } from "./invoice-answers.ts";
import { invoiceParams, seenBy } from "./invoices.ts";

const tags = ["invoices"];
const PAYMENT_LENGTH_MAX = 200;

const paymentSchema = z
  .string()
  .min(1)
  .max(PAYMENT_LENGTH_MAX)
  .refine((s) => s.isWellFormed() && !/[\u0000-\u001f\u007f-\u009f]/.test(s), "must not hold control characters");

/** What the operator does with invoices. */
export function invoiceActionRoutes(app: App, engine: Engine): void {
  runRoutes(app, engine);
  const admin = allow("admin");
  const answer = { 200: invoiceSchema };

  app.route({
    method: "POST",
    url: "/v1/invoices/:invoice/finalize",
    ...admin,
    schema: {
      tags,
      summary: "Finalize a draft before its grace is over; one that is final stays as it is",
      params: invoiceParams,
      response: answer,
    },
    handler: async (request) => {
      const finalized = await engine.invoices.finalize(request.params.invoice, seenBy(request), engine.clock.now());
      return invoiceAnswer(finalized, engine.invoices.graceMs);
    },
  });

  app.route({
    method: "POST",
    url: "/v1/invoices/:invoice/pay",
    ...admin,
    schema: {
      tags,
      summary: "Mark a finalized invoice as paid",
      description: "`payment` is what the payment is called elsewhere. An invoice that is paid already stays as it is.",
      params: invoiceParams,
      body: z.strictObject({ payment: paymentSchema.optional() }).nullish(),
      response: answer,
    },
    handler: async (request) => {
      const payment = request.body?.payment ?? null;
      const paid = await engine.invoices.pay(request.params.invoice, seenBy(request), payment, engine.clock.now());
      return invoiceAnswer(paid, engine.invoices.graceMs);
    },
  });

  app.route({
    method: "POST",
    url: "/v1/invoices/:invoice/void",
    ...admin,
    schema: {
      tags,
      summary: "Void a finalized invoice that is not paid",
      description: "It keeps its number, is not to be paid, and what it billed is not billed again.",
      params: invoiceParams,
      response: answer,
    },
    handler: async (request) => {
      const voided = await engine.invoices.void(request.params.invoice, seenBy(request), engine.clock.now());
      return invoiceAnswer(voided, engine.invoices.graceMs);
    },
  });
}

function runRoutes(app: App, engine: Engine): void {
  app.route({
    method: "POST",
    url: "/v1/invoices/run",
    ...allow("admin"),
    schema: {
      tags,
      summary: "Close the months that have ended and finalize what is due, now",
      description: "The worker does the same each minute. Run twice, at once or after a crash it comes to the same invoices.",
      response: { 200: z.object({ closed: z.int(), drafted: z.int(), finalized: z.int(), parked: z.int() }) },
    },
    handler: () => engine.invoices.run(engine.clock.now()),
  });

  app.route({
    method: "GET",
    url: "/v1/invoices/parked",
    ...allow("admin"),
    schema: {
      tags,
      summary: "Accounts that are not billed since their numbers do not reconcile, with the reason",
      querystring: pageQuerySchema,
      response: {
        200: z.object({
          parkedAccounts: z.array(z.object({ account: z.string(), reason: z.string(), parkedAt: z.iso.datetime() })),
          nextCursor: z.string().nullable(),
        }),
      },
    },
    handler: async (request) => {
      const limit = pageLimit(request.query);
      const after = decodeCursor(request.query.cursor, 1);
      const found = await listParked(engine.walled, after === null ? "" : String(after[0]), limit + 1);
      const { rows, nextCursor } = pageOf(found, limit, (last) => encodeCursor([last.account]));
      return { parkedAccounts: rows.map((row) => ({ ...row, parkedAt: iso(row.parkedAt) })), nextCursor };
    },
  });
}
