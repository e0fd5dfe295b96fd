import PDFDocument from "pdfkit";
import { nextTurn } from "../kernel/clock.ts";
import { iso } from "../kernel/window.ts";
import { amountDue, type Invoice, type InvoiceLine } from "./invoice.ts";
import { amount, grouped } from "./line-text.ts";

/** Points; A4 is 595 wide. */
const MARGIN = 48;
const WIDTH = 595 - 2 * MARGIN;
const BOTTOM = 842 - 72;
const INK = "#111827";
const FAINT = "#6b7280";
const RULE = "#d1d5db";
/** Lines that one document shows; what is beyond is in the CSV, and the last page says so. */
const LINES_MAX = 500;
/** Lines drawn before others have their turn: two milliseconds. */
const LINES_AT_ONCE = 20;

/** Where each column of the table begins, and how wide it is. Amounts stand right. */
const COLUMNS = [
  { title: "Description", x: 0, width: 250, align: "left" },
  { title: "Quantity", x: 255, width: 85, align: "right" },
  { title: "Billed", x: 345, width: 75, align: "right" },
  { title: "Amount", x: 425, width: WIDTH - 425, align: "right" },
] as const;

type Document = InstanceType<typeof PDFDocument>;

/** An invoice as a PDF of A4 pages. The same invoice gives the same bytes: nothing in it is of the moment it was asked for. */
export async function invoicePdf(invoice: Invoice): Promise<Buffer> {
  const made = new Date(iso(invoice.finalizedAt ?? invoice.draftedAt));
  const info = { Title: titleOf(invoice), Author: "Weir", CreationDate: made, ModDate: made };
  const document = new PDFDocument({ size: "A4", margin: MARGIN, info, lang: "en" });
  const chunks: Buffer[] = [];
  document.on("data", (chunk: Buffer) => chunks.push(chunk));
  const ended = new Promise<void>((resolve, reject) => document.on("end", resolve).on("error", reject));
  heading(document, invoice);
  await lineTable(document, invoice);
  totals(document, invoice);
  document.end();
  await ended;
  return Buffer.concat(chunks);
}

const titleOf = ({ number, state }: Invoice): string => (number === null ? `Invoice (${state})` : `Invoice ${number}`);

/** The standard fonts know Latin-1 and a little more: any other character of a name is shown as a question mark. */
const latin = (text: string): string =>
  text
    .replaceAll("−", "-")
    .replace(/[^\t\x20-\x7e\xa0-\xff–—…€×÷•→]/g, "?")
    .replaceAll("→", "->");

function heading(document: Document, invoice: Invoice): void {
  document.font("Helvetica-Bold").fontSize(20).fillColor(INK).text(titleOf(invoice), MARGIN, MARGIN);
  const { period, account, id } = invoice;
  const facts = [
    ["Account", account],
    ["Billing month", `${iso(period.start).slice(0, 10)} – ${iso(period.end).slice(0, 10)} (end not included)`],
    ["State", invoice.state],
    ["Finalized", invoice.finalizedAt === null ? "not yet" : iso(invoice.finalizedAt).slice(0, 10)],
    ["Invoice id", id],
  ];
  let y = document.y + 10;
  for (const [name, value] of facts) {
    document.font("Helvetica").fontSize(9).fillColor(FAINT).text(String(name), MARGIN, y, { width: 90 });
    document.fillColor(INK).text(latin(String(value)), MARGIN + 95, y, { width: WIDTH - 95, height: 12, ellipsis: true });
    y += 14;
  }
  document.y = y + 14;
}

async function lineTable(document: Document, invoice: Invoice): Promise<void> {
  header(document);
  for (const [i, line] of invoice.lines.slice(0, LINES_MAX).entries()) {
    row(document, line, invoice.currency);
    if ((i + 1) % LINES_AT_ONCE === 0) await nextTurn();
  }
  const left = invoice.lines.length - LINES_MAX;
  if (left > 0) {
    document
      .font("Helvetica-Oblique")
      .fontSize(9)
      .fillColor(FAINT)
      .text(`and ${left} more lines, in the CSV`, MARGIN, document.y + 4);
  }
}

function header(document: Document): void {
  const { y } = document;
  document.font("Helvetica-Bold").fontSize(8).fillColor(FAINT);
  for (const { title, x, width, align } of COLUMNS) document.text(title, MARGIN + x, y, { width, align });
  rule(document, y + 13);
  document.y = y + 19;
}

function row(document: Document, line: InvoiceLine, currency: string): void {
  const [description, quantity, billed, sum] = COLUMNS;
  const why = latin(line.explain.text);
  const height =
    12 +
    document
      .font("Helvetica")
      .fontSize(7.5)
      .heightOfString(why, { width: WIDTH - 100 }) +
    8;
  if (document.y + height > BOTTOM) {
    document.addPage();
    header(document);
  }
  const { y } = document;
  document.font("Helvetica").fontSize(9).fillColor(INK);
  document.text(latin(line.description), MARGIN + description.x, y, { width: description.width, height: 11, ellipsis: true });
  if (line.meter !== undefined) {
    document.text(grouped(line.quantity), MARGIN + quantity.x, y, { width: quantity.width, align: "right" });
    document.text(grouped(line.billable), MARGIN + billed.x, y, { width: billed.width, align: "right" });
  }
  document.text(latin(amount(BigInt(line.amountUsdMicros), currency)), MARGIN + sum.x, y, { width: sum.width, align: "right" });
  document
    .fontSize(7.5)
    .fillColor(FAINT)
    .text(why, MARGIN, y + 12, { width: WIDTH - 100 });
  document.y = y + height;
}

function totals(document: Document, invoice: Invoice): void {
  if (document.y + 90 > BOTTOM) document.addPage();
  rule(document, document.y);
  let y = document.y + 8;
  const { currency, taxUsdMicros, totalUsdMicros, creditedUsdMicros } = invoice;
  const rows = [
    ...(taxUsdMicros === 0 ? [] : [["Taxes, contained ones too", taxUsdMicros] as const]),
    ["Total", totalUsdMicros] as const,
    ...(creditedUsdMicros === 0 ? [] : [["Credited", -creditedUsdMicros] as const]),
    ["To be paid", amountDue(invoice)] as const,
  ];
  for (const [name, micros] of rows) {
    document
      .font(name === "Total" ? "Helvetica-Bold" : "Helvetica")
      .fontSize(10)
      .fillColor(INK);
    document.text(name, MARGIN + 255, y, { width: 165, align: "right" });
    document.text(latin(amount(BigInt(micros), currency)), MARGIN + 425, y, { width: WIDTH - 425, align: "right" });
    y += 16;
  }
  document.font("Helvetica").fontSize(7.5).fillColor(FAINT);
  document.text(`All amounts in ${currency}, exact to a millionth; each line is rounded once.`, MARGIN, y + 8, { width: WIDTH });
}

function rule(document: Document, y: number): void {
  document
    .moveTo(MARGIN, y)
    .lineTo(MARGIN + WIDTH, y)
    .lineWidth(0.5)
    .strokeColor(RULE)
    .stroke();
}
