import { z } from "zod";
import { creditsApplied } from "../../invoices/credit-lines.ts";
import { amountDue, INVOICE_STATES, LINE_KINDS, type Invoice, type InvoiceLine } from "../../invoices/invoice.ts";
import { iso } from "../../kernel/window.ts";

const instant = z.iso.datetime();
const micros = z.int();
const quantity = z.union([z.int(), z.string()]);
const span = z.object({ start: instant, end: instant });

const basisSchema = z.object({
  usage: z.string(),
  corrections: z.string(),
  byteMilliseconds: z.string(),
  amountUsdMicros: micros,
});

const tierSchema = z
  .object({
    from: quantity,
    upTo: quantity.nullable(),
    quantity,
    unitSize: z.int(),
    units: quantity,
    priceUsdMicros: z.string(),
    flatUsdMicros: z.string(),
    amountUsdMicros: micros,
  })
  .meta({ id: "InvoiceTier" });

export const lineSchema = z
  .object({
    /** `<invoice>.<n>`, n from 1. */
    id: z.string(),
    kind: z.enum(LINE_KINDS),
    meter: z.string().optional(),
    description: z.string(),
    period: span,
    quantity,
    included: quantity,
    billable: quantity,
    unitPrice: quantity.nullable(),
    unit: z.string(),
    unitSize: z.int(),
    amountUsdMicros: micros,
    tiers: z.array(tierSchema).optional(),
    explain: z.object({
      text: z.string(),
      plan: z.string().optional(),
      catalogVersion: z.int().optional(),
      month: span.optional(),
      monthMilliseconds: z.int().optional(),
      basis: basisSchema.optional(),
      billedBefore: basisSchema.optional(),
      baseUsdMicros: micros.optional(),
      taxUsdMicros: micros.optional(),
      inclusive: z.boolean().optional(),
      creditGrant: z.string().optional(),
      balance: z.enum(["from_earlier", "to_next"]).optional(),
    }),
  })
  .meta({ id: "InvoiceLine" });

export const invoiceSchema = z
  .object({
    id: z.string(),
    number: z.int().nullable(),
    account: z.string(),
    state: z.enum(INVOICE_STATES),
    currency: z.string(),
    period: span,
    lines: z.array(lineSchema),
    subtotalUsdMicros: micros,
    /** What prepaid credits paid: it is in the lines, and so in the total. */
    creditsAppliedUsdMicros: micros,
    taxUsdMicros: micros,
    totalUsdMicros: micros,
    creditedUsdMicros: micros,
    amountDueUsdMicros: micros,
    draftedAt: instant,
    finalizesAt: instant,
    finalizedAt: instant.nullable(),
    paidAt: instant.nullable(),
    voidedAt: instant.nullable(),
    payment: z.string().nullable(),
  })
  .meta({ id: "Invoice" });

/** What a simulation answers: an invoice nobody is sent. */
export const simulatedSchema = z.object({
  account: z.string(),
  plan: z.string(),
  catalogVersion: z.int(),
  currency: z.string(),
  period: span,
  lines: z.array(lineSchema.omit({ id: true })),
  subtotalUsdMicros: micros,
  taxUsdMicros: micros,
  totalUsdMicros: micros,
  actualUsdMicros: micros,
});

/** What lines come to before tax, and before what is carried from one invoice to another. */
export const subtotal = (lines: readonly InvoiceLine[]): number =>
  lines.reduce((sum, line) => (line.kind === "tax" || line.explain.balance !== undefined ? sum : sum + line.amountUsdMicros), 0);

const dated = (at: number | null): string | null => (at === null ? null : iso(at));

/** An invoice as the API tells it. `graceMs` after its month's end a draft is finalized. */
export function invoiceAnswer(invoice: Invoice, graceMs: number): z.infer<typeof invoiceSchema> {
  const { period, lines } = invoice;
  return {
    ...invoice,
    period: { start: iso(period.start), end: iso(period.end) },
    lines: lines.map((line, i) => ({ ...line, id: `${invoice.id}.${i + 1}` })),
    subtotalUsdMicros: subtotal(lines),
    creditsAppliedUsdMicros: creditsApplied(lines),
    amountDueUsdMicros: amountDue(invoice),
    draftedAt: iso(invoice.draftedAt),
    finalizesAt: iso(period.end + graceMs),
    finalizedAt: dated(invoice.finalizedAt),
    paidAt: dated(invoice.paidAt),
    voidedAt: dated(invoice.voidedAt),
  };
}
