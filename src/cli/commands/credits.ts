import { Option, type Command } from "commander";
import { path } from "../api.ts";
import { action, show, type Args, type Context } from "../context.ts";
import { EXIT, type ExitCode } from "../exit.ts";
import { money } from "../invoices/invoice-lines.ts";
import { moreLines, pageable, pageQuery, type Page, type PageOptions } from "../paging.ts";
import { integer } from "../parse.ts";
import type { Surface } from "../terminal/surface.ts";
import { fields, table, type Column } from "../terminal/table.ts";

/** A grant, as the API answers it. */
interface Credit {
  id: string;
  name: string;
  kind: string;
  state: string;
  currency: string;
  amountUsdMicros: number;
  burnedUsdMicros: number;
  remainingUsdMicros: number;
  priority: number;
  effectiveAt: string;
  expiresAt: string | null;
  costBasis: string;
}

interface CreditList extends Page {
  credits: Credit[];
  balances: { currency: string; remainingUsdMicros: number }[];
}

interface Burn {
  invoice: string;
  amountUsdMicros: number;
  at: string;
}

interface GrantOptions {
  amountUsdMicros: number;
  idempotencyKey: string;
  currency?: string;
  name?: string;
  kind?: string;
  priority?: number;
  effectiveAt?: string;
  expiresAt?: string;
  costBasis?: string;
}

export function register(command: Command): void {
  pageable(command.command("list").description("grants, newest first, and what is left of them")).action(action<PageOptions>(list));
  command
    .command("show")
    .description("one grant, and the invoices that burned it")
    .argument("<id>", "the grant, as `weir credits list` shows it")
    .action(action(one));
  command
    .command("grant")
    .description("grant prepaid credits, which pay for usage before money does")
    .requiredOption("--amount-usd-micros <n>", "how much, in micro-dollars (millionths of the currency)", integer(1))
    .requiredOption("--idempotency-key <key>", "the same key makes one grant")
    .option("--currency <code>", "of ISO 4217 (default USD)")
    .option("--name <name>", "what invoices call it")
    .addOption(new Option("--kind <kind>", "paid for, or a gift").choices(["paid", "promotional"]))
    .option("--priority <n>", "0 to 100, the lowest is burned first (default 50)", integer(0, 100))
    .option("--effective-at <time>", "covers months that end after it (default now)")
    .option("--expires-at <time>", "covers months that end until then (default never)")
    .option("--cost-basis <decimal>", "what was paid for credits worth one unit, such as 0.8")
    .action(action<GrantOptions>(grant));
  command
    .command("void")
    .description("take what is left of a grant back")
    .argument("<id>", "the grant, as `weir credits list` shows it")
    .action(action(withdraw));
}

async function list(context: Context, _args: Args, options: PageOptions): Promise<ExitCode> {
  const body = await context.api.call<CreditList>("GET", "/v1/credits", { query: pageQuery(options) });
  show(context, body, (page) => [...listLines(page, context.out), ...moreLines(page)]);
  return EXIT.ok;
}

async function one(context: Context, [id = ""]: Args): Promise<ExitCode> {
  const body = await context.api.call<Credit & { burns: Burn[] }>("GET", path`/v1/credits/${id}`);
  show(context, body, (credit) => creditLines(credit, context.out));
  return EXIT.ok;
}

async function grant(context: Context, _args: Args, options: GrantOptions): Promise<ExitCode> {
  const { amountUsdMicros, idempotencyKey, currency, name, kind, priority, effectiveAt, expiresAt, costBasis } = options;
  const told = Object.entries({ currency, name, kind, priority, effectiveAt, expiresAt, costBasis }).filter(
    ([, value]) => value !== undefined,
  );
  const request = { amountUsdMicros, idempotencyKey, ...Object.fromEntries(told) };
  const body = await context.api.call<Credit>("POST", "/v1/credits", { body: request });
  show(context, body, (made) => [`Granted ${money(made.amountUsdMicros, made.currency)} as ${made.id} (${made.name}).`]);
  return EXIT.ok;
}

async function withdraw(context: Context, [id = ""]: Args): Promise<ExitCode> {
  const body = await context.api.call<Credit>("DELETE", path`/v1/credits/${id}`);
  const left = body.amountUsdMicros - body.burnedUsdMicros;
  show(context, body, () => [`Voided ${id}: ${money(left, body.currency)} are not burned any more.`]);
  return EXIT.ok;
}

const right = "right" as const;

function listLines({ credits, balances }: CreditList, out: Surface): string[] {
  if (credits.length === 0)
    return ["No prepaid credits. Grant some: weir credits grant --amount-usd-micros 50000000 --idempotency-key <key>"];
  const columns: Column[] = [
    { title: "ID" },
    { title: "NAME" },
    { title: "KIND" },
    { title: "STATE" },
    { title: "PRIORITY", align: right },
    { title: "GRANTED", align: right },
    { title: "LEFT", align: right },
    { title: "EXPIRES" },
  ];
  const rows = credits.map((c) => [
    c.id,
    c.name,
    c.kind,
    c.state,
    String(c.priority),
    money(c.amountUsdMicros, c.currency),
    money(c.remainingUsdMicros, c.currency),
    c.expiresAt ?? "–",
  ]);
  const left = balances.map(({ currency, remainingUsdMicros }) => money(remainingUsdMicros, currency)).join(" + ");
  return [...table(columns, rows, out.style), "", out.style.strong(`Left now: ${left === "" ? "nothing" : left}`)];
}

function creditLines(credit: Credit & { burns: Burn[] }, out: Surface): string[] {
  const { style } = out;
  const facts: [string, string][] = [
    ["id", credit.id],
    ["kind", `${credit.kind}, paid for at ${credit.costBasis}`],
    ["state", credit.state],
    ["granted", money(credit.amountUsdMicros, credit.currency)],
    ["left", money(credit.remainingUsdMicros, credit.currency)],
    ["priority", String(credit.priority)],
    ["covers months", `that end after ${credit.effectiveAt}${credit.expiresAt === null ? "" : ` and not after ${credit.expiresAt}`}`],
  ];
  const rows = credit.burns.map(({ invoice, amountUsdMicros, at }) => [at, invoice, money(amountUsdMicros, credit.currency)]);
  const burned = table([{ title: "AT" }, { title: "INVOICE" }, { title: "BURNED", align: right }], rows, style);
  return [style.strong(credit.name), ...fields(facts, style), "", ...(rows.length === 0 ? ["Nothing is burned of it yet."] : burned)];
}
