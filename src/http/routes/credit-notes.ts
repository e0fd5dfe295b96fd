import { z } from "zod";
import type { Engine } from "../../engine.ts";
import { creditRequestSchema, type CreditNote } from "../../invoices/credit-note.ts";
import { iso } from "../../kernel/window.ts";
import type { App } from "../app.ts";
import { allow, principalOf } from "../auth.ts";
import { invoiceParams, seenBy } from "./invoices.ts";

const tags = ["invoices"];

const creditNoteSchema = z
  .object({
    id: z.string(),
    number: z.int(),
    account: z.string(),
    invoice: z.string(),
    amountUsdMicros: z.int(),
    reason: z.string(),
    madeBy: z.string(),
    createdAt: z.iso.datetime(),
  })
  .meta({ id: "CreditNote" });

const toAnswer = (note: CreditNote): z.infer<typeof creditNoteSchema> => ({ ...note, createdAt: iso(note.createdAt) });

/** Credit notes: a finalized invoice does not change, so what it billed too much is a document of its own. */
export function creditNoteRoutes(app: App, engine: Engine): void {
  app.route({
    method: "POST",
    url: "/v1/invoices/:invoice/credit-notes",
    ...allow("admin"),
    schema: {
      tags,
      summary: "Credit a finalized or paid invoice",
      description:
        "At most what is left of it: the invoice's `creditedUsdMicros` grows, its lines and total stay. Numbered without gaps, in a series of " +
        "its own. The same `idempotencyKey` gives the same note again; with another body it is `409 idempotency_mismatch`.",
      params: invoiceParams,
      body: creditRequestSchema,
      response: { 201: creditNoteSchema },
    },
    handler: async (request, reply) => {
      const made = { by: principalOf(request).keyId, now: engine.clock.now() };
      const note = await engine.invoices.credit(request.params.invoice, seenBy(request), request.body, made);
      return reply.code(201).send(toAnswer(note));
    },
  });

  app.route({
    method: "GET",
    url: "/v1/invoices/:invoice/credit-notes",
    ...allow("account", "read_only", "admin"),
    schema: {
      tags,
      summary: "An invoice's credit notes, newest first",
      params: invoiceParams,
      response: { 200: z.object({ creditNotes: z.array(creditNoteSchema) }) },
    },
    handler: async (request) => {
      const notes = await engine.invoices.creditNotes(request.params.invoice, seenBy(request));
      return { creditNotes: notes.map(toAnswer) };
    },
  });
}
