import { grouped } from "../../invoices/line-text.ts";
import { usd } from "../terminal/figures.ts";
import type { Surface } from "../terminal/surface.ts";
import { fields, table, type Column } from "../terminal/table.ts";

/** What the command line reads of an invoice. */
export interface InvoiceAnswer {
  id: string;
  number: number | null;
  account: string;
  state: string;
  currency: string;
  period: { start: string; end: string };
  lines: LineAnswer[];
  taxUsdMicros: number;
  totalUsdMicros: number;
  creditedUsdMicros: number;
  amountDueUsdMicros: number;
  finalizesAt: string;
}

export interface LineAnswer {
  id: string;
  kind: string;
  meter?: string;
  description: string;
  period: { start: string; end: string };
  quantity: number | string;
  billable: number | string;
  unit: string;
  amountUsdMicros: number;
  tiers?: {
    from: number | string;
    upTo: number | string | null;
    units: number | string;
    priceUsdMicros: string;
    flatUsdMicros: string;
    amountUsdMicros: number;
  }[];
  explain: { text: string; plan?: string; catalogVersion?: number };
}

const right = "right" as const;

/** An amount in an invoice's currency. */
export const money = (micros: number, currency: string): string =>
  currency === "USD" ? usd(micros) : usd(micros).replace("$", `${currency} `);

/** "2027-04-01 – 2027-05-01", by the minute where a month begins inside a day of UTC. */
export function span({ start, end }: { start: string; end: string }): string {
  const whole = start.slice(10) === MIDNIGHT && end.slice(10) === MIDNIGHT;
  const shown = (at: string): string => (whole ? at.slice(0, 10) : `${at.slice(0, 16)}Z`);
  return `${shown(start)} – ${shown(end)}`;
}

const MIDNIGHT = "T00:00:00.000Z";

/** A table of invoices, in the order in which they come. */
export function listLines(invoices: readonly InvoiceAnswer[], out: Surface): string[] {
  if (invoices.length === 0) return ["No invoices yet: one is drafted when a billing month ends with something to bill."];
  const columns: Column[] = [
    { title: "NUMBER", align: right },
    { title: "MONTH" },
    { title: "STATE" },
    { title: "TOTAL", align: right },
    { title: "DUE", align: right },
    { title: "ID" },
  ];
  const rows = invoices.map((i) => [
    i.number === null ? "–" : String(i.number),
    span(i.period),
    i.state,
    money(i.totalUsdMicros, i.currency),
    money(i.amountDueUsdMicros, i.currency),
    i.id,
  ]);
  return table(columns, rows, out.style);
}

/** One invoice: what is known of it, its lines, and what they come to. */
export function invoiceLines(invoice: InvoiceAnswer, out: Surface): string[] {
  const { style } = out;
  const { currency } = invoice;
  const title = invoice.number === null ? "Invoice, not numbered yet" : `Invoice ${invoice.number}`;
  const facts: [string, string][] = [
    ["id", invoice.id],
    ["account", invoice.account],
    ["month", span(invoice.period)],
    ["state", invoice.state === "draft" ? `draft, final at ${invoice.finalizesAt}` : invoice.state],
  ];
  const columns: Column[] = [
    { title: "LINE", align: right },
    { title: "KIND" },
    { title: "WHAT" },
    { title: "QUANTITY", align: right },
    { title: "BILLABLE", align: right },
    { title: "AMOUNT", align: right },
  ];
  const rows = invoice.lines.map((line, i) => [
    String(i + 1),
    line.kind,
    line.description,
    line.meter === undefined ? "" : grouped(line.quantity),
    line.meter === undefined ? "" : grouped(line.billable),
    money(line.amountUsdMicros, currency),
  ]);
  const sums = [
    ...(invoice.taxUsdMicros === 0 ? [] : [`of which tax ${money(invoice.taxUsdMicros, currency)}`]),
    ...(invoice.creditedUsdMicros === 0 ? [] : [`credited ${money(invoice.creditedUsdMicros, currency)}`]),
  ];
  return [
    style.strong(title),
    ...fields(facts, style),
    "",
    ...table(columns, rows, style),
    "",
    `${style.strong(`Total ${money(invoice.totalUsdMicros, currency)}`)}${sums.length > 0 ? ` (${sums.join(", ")})` : ""}`,
    style.faint(`Any line in full: weir invoices explain ${invoice.id}.<line>`),
  ];
}
