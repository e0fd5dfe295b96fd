import type { FastifyRequest } from "fastify";
import { z } from "zod";
import type { Engine } from "../../engine.ts";
import { invoiceCsv } from "../../invoices/csv.ts";
import { invoicePdf } from "../../invoices/pdf.ts";
import { validationFailed } from "../../kernel/errors.ts";
import type { App } from "../app.ts";
import { accountOf, allow, principalOf } from "../auth.ts";
import { opaqueId } from "../opaque-id.ts";
import { decodeCursor, encodeCursor, pageLimit, pageOf, pageQuerySchema } from "../page.ts";
import { invoiceAnswer, invoiceSchema } from "./invoice-answers.ts";
import { requireAccount } from "./notifications.ts";

const tags = ["invoices"];
export const invoiceParams = z.object({ invoice: opaqueId });

const MONEY =
  "Amounts are integers in millionths of `currency`, also where a name says USD. The lines add up to `totalUsdMicros`; a tax that prices " +
  "contain is a line of 0, and is told in `taxUsdMicros`.";

/** Invoices, for the account and whoever may read it. */
export function invoiceRoutes(app: App, engine: Engine): void {
  const read = allow("account", "read_only", "admin");
  listRoute(app, engine);

  app.route({
    method: "GET",
    url: "/v1/invoices/upcoming",
    ...read,
    schema: {
      tags,
      summary: "The running month's invoice as it would be if nothing more were used",
      description: `Levels are taken to stay as they are until the month ends. At its last instant this is the invoice. ${MONEY}`,
      response: { 200: invoiceSchema },
    },
    handler: async (request) => {
      return invoiceAnswer(await engine.invoices.upcoming(accountOf(request), engine.clock.now()), engine.invoices.graceMs);
    },
  });

  app.route({
    method: "GET",
    url: "/v1/invoices/:invoice",
    ...read,
    schema: {
      tags,
      summary: "One invoice; a draft as it stands now",
      description: MONEY,
      params: invoiceParams,
      response: { 200: invoiceSchema },
    },
    handler: async (request) => {
      const { invoice } = request.params;
      return invoiceAnswer(await engine.invoices.find(invoice, seenBy(request), engine.clock.now()), engine.invoices.graceMs);
    },
  });

  documentRoutes(app, engine);
}

/** An invoice as a file. */
function documentRoutes(app: App, engine: Engine): void {
  const read = allow("account", "read_only", "admin");
  const find = (request: FastifyRequest<{ Params: z.infer<typeof invoiceParams> }>) =>
    engine.invoices.find(request.params.invoice, seenBy(request), engine.clock.now());
  const named = (name: string): string => `attachment; filename="${name}"`;
  app.route({
    method: "GET",
    url: "/v1/invoices/:invoice.csv",
    ...read,
    schema: { tags, summary: "One invoice's lines as CSV", params: invoiceParams, produces: ["text/csv"], response: { 200: z.string() } },
    handler: async (request, reply) => {
      const found = await find(request);
      const serialized = reply.type("text/csv; charset=utf-8").header("content-disposition", named(`${found.id}.csv`));
      return serialized.serializer((text: string) => text).send(invoiceCsv(found));
    },
  });
  app.route({
    method: "GET",
    url: "/v1/invoices/:invoice.pdf",
    ...read,
    schema: {
      tags,
      summary: "One invoice as a PDF",
      params: invoiceParams,
      produces: ["application/pdf"],
      response: { 200: z.unknown().meta({ type: "string", format: "binary" }) },
    },
    handler: async (request, reply) => {
      const found = await find(request);
      const serialized = reply.type("application/pdf").header("content-disposition", named(`${found.id}.pdf`));
      // A buffer goes out as it is, past every serializer.
      return serialized.send(await invoicePdf(found));
    },
  });
}

function listRoute(app: App, engine: Engine): void {
  app.route({
    method: "GET",
    url: "/v1/invoices",
    ...allow("account", "read_only", "admin"),
    schema: {
      tags,
      summary: "The account's invoices, newest first",
      description: `A month without anything to bill has none. ${MONEY}`,
      querystring: pageQuerySchema,
      response: { 200: z.object({ invoices: z.array(invoiceSchema), nextCursor: z.string().nullable() }) },
    },
    handler: async (request) => {
      const account = accountOf(request);
      const limit = pageLimit(request.query);
      const found = await engine.invoices.list(account, endIn(decodeCursor(request.query.cursor, 1)), limit + 1);
      if (found.length === 0) await requireAccount(engine, account);
      const { rows, nextCursor } = pageOf(found, limit, (last) => encodeCursor([last.period.end]));
      return { invoices: rows.map((row) => invoiceAnswer(row, engine.invoices.graceMs)), nextCursor };
    },
  });
}

/** The last instant a Date can hold. */
const INSTANT_MAX = 8.64e15;

function endIn(cursor: (string | number)[] | null): number | null {
  if (cursor === null) return null;
  const end = Number(cursor[0]);
  if (!Number.isSafeInteger(end) || Math.abs(end) > INSTANT_MAX)
    throw validationFailed([{ path: "cursor", message: "is not a cursor of this list" }]);
  return end;
}

/** Whose invoices a request may see: its key's account's, those of the account an operator names, or with none named all. */
export function seenBy(request: FastifyRequest): string | null {
  const named = principalOf(request).account !== null || request.headers["weir-account"] !== undefined;
  return named ? accountOf(request) : null;
}
