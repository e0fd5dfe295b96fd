import type { Invoice } from "./invoice.ts";

const COLUMNS = [
  "line",
  "kind",
  "meter",
  "description",
  "period_start",
  "period_end",
  "quantity",
  "included",
  "billable",
  "unit_price_usd_micros",
  "unit",
  "unit_size",
  "amount_usd_micros",
  "currency",
  "explain",
] as const;

/** An invoice's lines as CSV (RFC 4180): a row a line, amounts in millionths of the currency. */
export function invoiceCsv({ lines, currency }: Invoice): string {
  const rows = lines.map((line, i) => [
    i + 1,
    line.kind,
    line.meter ?? "",
    text(line.description),
    line.period.start,
    line.period.end,
    line.quantity,
    line.included,
    line.billable,
    line.unitPrice ?? "",
    text(line.unit),
    line.unitSize,
    line.amountUsdMicros,
    currency,
    text(line.explain.text),
  ]);
  return [COLUMNS, ...rows].map((row) => `${row.map(quoted).join(",")}\r\n`).join("");
}

// A spreadsheet takes a text that begins like this for a formula; names of discounts and taxes are the operator's to choose.
const text = (value: string): string => (/^[=+\-@\t\r]/.test(value) ? `'${value}` : value);

const quoted = (value: string | number): string => {
  const plain = String(value);
  return /[",\r\n]/.test(plain) ? `"${plain.replaceAll('"', '""')}"` : plain;
};
