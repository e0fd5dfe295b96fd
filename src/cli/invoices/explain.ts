import { add, multiply, parseExact, round, ZERO, type Fraction } from "../../kernel/money.ts";
import { grouped } from "../../invoices/line-text.ts";
import { usd } from "../terminal/figures.ts";
import type { Surface } from "../terminal/surface.ts";
import { fields, table, type Column } from "../terminal/table.ts";
import { span, type LineAnswer } from "./invoice-lines.ts";

interface Held {
  start: string;
  quantity: number | string;
}

/** What `GET /v1/invoices/{id}/lines/{n}` answers. */
export interface ExplainedAnswer {
  line: LineAnswer;
  reckonedUsdMicros: number | null;
  agrees: boolean;
  ledger: {
    month: { start: string; end: string };
    unit: string;
    quantity: number | string;
    days: Held[];
    hours: Held[];
    corrections: { id: string; at: string; quantity: number | string; reason: string }[];
    bookedSince: number | string;
  } | null;
  ledgerKept: boolean;
}

/** A claim that was reckoned again here, from the answer's own figures. */
export interface Proof {
  claim: string;
  holds: boolean;
}

const right = "right" as const;
const sum = (held: readonly Held[]): bigint => held.reduce((total, { quantity }) => total + BigInt(quantity), 0n);

/** Adds a line up again: hours to the month, days to the month, tiers to the amount, and the rate to what Weir rates now. */
export function proofs({ line, reckonedUsdMicros, ledger }: ExplainedAnswer): Proof[] {
  const found: Proof[] = [];
  if (ledger) {
    const whole = BigInt(ledger.quantity);
    const hours = `${ledger.hours.length} ${ledger.hours.length === 1 ? "hour adds" : "hours add"} up to ${grouped(sum(ledger.hours))} ${ledger.unit}`;
    found.push({ claim: hours, holds: sum(ledger.hours) === whole });
    found.push({ claim: `${ledger.days.length} UTC days add up to ${grouped(sum(ledger.days))}`, holds: sum(ledger.days) === whole });
  }
  if (line.tiers && line.tiers.length > 0) {
    const exact = line.tiers.reduce((total, tier) => add(total, priceOf(tier)), ZERO);
    found.push({ claim: `tiers come to ${usd(Number(round(exact)))}, rounded once`, holds: round(exact) === BigInt(line.amountUsdMicros) });
  }
  if (reckonedUsdMicros !== null)
    found.push({ claim: `rated again: ${usd(reckonedUsdMicros)}`, holds: reckonedUsdMicros === line.amountUsdMicros });
  return found;
}

const priceOf = (tier: NonNullable<LineAnswer["tiers"]>[number]): Fraction =>
  add(multiply(parseExact(String(tier.units)), parseExact(tier.priceUsdMicros)), parseExact(tier.flatUsdMicros));

/** The walk from a line's amount to its hours. `hours`: show every hour, not only days. */
export function explainedLines(answer: ExplainedAnswer, options: { hours: boolean }, out: Surface): string[] {
  const { line, ledger } = answer;
  const { style } = out;
  const facts: [string, string][] = [
    ["line", line.id],
    ["kind", line.kind],
    ["for", span(line.period)],
    ["amount", usd(line.amountUsdMicros)],
    ["because", line.explain.text],
    ...(line.explain.plan === undefined
      ? []
      : ([["priced by", `plan ${line.explain.plan} of catalogue version ${line.explain.catalogVersion ?? "–"}`]] as [string, string][])),
  ];
  return [
    style.strong(line.description),
    ...fields(facts, style),
    ...tierLines(line, out),
    ...(ledger ? ledgerLines(ledger, options.hours, out) : []),
    ...(answer.ledgerKept ? [] : ["", "The hours it was rated from are not kept any more."]),
    "",
    ...proofs(answer).map(({ claim, holds }) => (holds ? `${style.good("✓")} ${claim}` : style.bad(`✗ ${claim}: it does not add up`))),
  ];
}

function tierLines({ tiers = [] }: LineAnswer, { style }: Surface): string[] {
  if (tiers.length === 0) return [];
  const columns: Column[] = [
    { title: "ABOVE", align: right },
    { title: "UP TO", align: right },
    { title: "UNITS", align: right },
    { title: "MICRO-DOLLARS EACH", align: right },
    { title: "FLAT", align: right },
    { title: "AMOUNT", align: right },
  ];
  const rows = tiers.map((t) => [
    grouped(t.from),
    t.upTo === null ? "–" : grouped(t.upTo),
    grouped(t.units),
    t.priceUsdMicros,
    t.flatUsdMicros,
    usd(t.amountUsdMicros),
  ]);
  return ["", ...table(columns, rows, style)];
}

function ledgerLines(ledger: NonNullable<ExplainedAnswer["ledger"]>, hours: boolean, { style }: Surface): string[] {
  const columns: Column[] = [{ title: hours ? "HOUR" : "UTC DAY" }, { title: ledger.unit.toUpperCase(), align: right }];
  const rows = (hours ? ledger.hours : ledger.days).map(({ start, quantity }) => [
    start.endsWith("T00:00:00.000Z") && !hours ? start.slice(0, 10) : `${start.slice(0, 16)}Z`,
    grouped(quantity),
  ]);
  const corrections = ledger.corrections.map(({ at, quantity, reason, id }) => `${id} at ${at}: ${grouped(quantity)} (${reason})`);
  const since = BigInt(ledger.bookedSince);
  return [
    "",
    `Booked in ${span(ledger.month)}:`,
    ...table(columns, rows, style),
    ...(corrections.length > 0 ? ["", "Corrections:", ...corrections] : []),
    ...(since === 0n
      ? []
      : ["", `${grouped(since)} ${ledger.unit} were booked after this line was made: they stand on a later invoice, or will.`]),
  ];
}
