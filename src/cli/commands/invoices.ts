import type { Command } from "commander";
import { path } from "../api.ts";
import { action, show, type Args, type Context } from "../context.ts";
import { EXIT, type ExitCode } from "../exit.ts";
import { usageError } from "../failure.ts";
import type { ExplainedAnswer } from "../invoices/explain.ts";
import type { HandOverAnswer } from "../invoices/hand-over.ts";
import type { InvoiceAnswer } from "../invoices/invoice-lines.ts";
import { moreLines, pageable, pageQuery, type Page, type PageOptions } from "../paging.ts";
import { integer } from "../parse.ts";

interface RunAnswer {
  closed: number;
  drafted: number;
  finalized: number;
  parked: number;
}

const words = () => import("../invoices/invoice-lines.ts");

export function register(command: Command): void {
  pageable(command.command("list").description("the account's invoices, newest first")).action(action<PageOptions>(list));
  command
    .command("show")
    .description("one invoice with its lines")
    .argument("<id>", "the invoice, as `weir invoices list` shows it")
    .action(action((context, [id = ""]) => one(context, "GET", path`/v1/invoices/${id}`)));
  command
    .command("upcoming")
    .description("the running month's invoice, as it would be if nothing more were used")
    .action(action((context) => one(context, "GET", "/v1/invoices/upcoming")));
  command
    .command("explain")
    .description("walk a line from its amount to the hourly buckets, and add it up again")
    .argument("<line>", "<invoice>.<n>, as `weir invoices show` numbers them")
    .option("--hours", "show every hour, not only days")
    .action(action<{ hours?: boolean }>(explain));
  command.command("run").description("close the months that have ended, and finalize what is due, now").action(action(run));
  operatorCommands(command);
}

function operatorCommands(command: Command): void {
  const change = (name: string, what: string, bodyOf: (options: { payment?: string }) => unknown = () => undefined): Command =>
    command
      .command(name)
      .description(what)
      .argument("<id>", "the invoice, as `weir invoices list` shows it")
      .action(
        action<{ payment?: string }>((context, [id = ""], options) =>
          one(context, "POST", `${path`/v1/invoices/${id}`}/${name}`, bodyOf(options)),
        ),
      );
  change("finalize", "finalize a draft before its grace is over");
  change("pay", "mark an invoice as paid", ({ payment }) => (payment === undefined ? {} : { payment })).option(
    "--payment <name>",
    "what the payment is called elsewhere",
  );
  change("void", "void an invoice that is not paid");
  command
    .command("hand-over")
    .description("where an invoice stands with whoever collects the money")
    .argument("<id>", "the invoice, as `weir invoices list` shows it")
    .option("--retry", "have one that failed, or that waits, tried again at once")
    .action(action<{ retry?: boolean }>(handOver));
  command
    .command("credit")
    .description("credit an invoice with a note of its own")
    .argument("<id>", "the invoice, as `weir invoices list` shows it")
    .requiredOption("--amount-usd-micros <n>", "how much, in micro-dollars", integer(1))
    .requiredOption("--reason <text>", "why")
    .requiredOption("--idempotency-key <key>", "the same key makes one note")
    .action(action<CreditOptions>(credit));
}

async function list(context: Context, _args: Args, options: PageOptions): Promise<ExitCode> {
  const body = await context.api.call<{ invoices: InvoiceAnswer[] } & Page>("GET", "/v1/invoices", { query: pageQuery(options) });
  const { listLines } = await words();
  show(context, body, ({ invoices }) => [...listLines(invoices, context.out), ...moreLines(body)]);
  return EXIT.ok;
}

async function one(context: Context, method: "GET" | "POST", at: string, body?: unknown): Promise<ExitCode> {
  const invoice = await context.api.call<InvoiceAnswer>(method, at, body === undefined ? {} : { body });
  const { invoiceLines } = await words();
  show(context, invoice, (shown) => invoiceLines(shown, context.out));
  return EXIT.ok;
}

async function explain(context: Context, [line = ""]: Args, { hours = false }: { hours?: boolean }): Promise<ExitCode> {
  const [, id, number] = /^(inv_[0-9A-Za-z]{20})\.([1-9]\d{0,4})$/.exec(line) ?? [];
  if (id === undefined || number === undefined)
    throw usageError(`"${line}" is no line of an invoice.`, "Lines are <invoice>.<n>: see weir invoices show <id>.");
  const body = await context.api.call<ExplainedAnswer>("GET", path`/v1/invoices/${id}/lines/${number}`);
  const { explainedLines, proofs } = await import("../invoices/explain.ts");
  show(context, body, (answer) => explainedLines(answer, { hours }, context.out));
  return proofs(body).every(({ holds }) => holds) ? EXIT.ok : EXIT.failed;
}

async function run(context: Context): Promise<ExitCode> {
  context.progress.say("closing months and finalizing what is due");
  const body = await context.api.call<RunAnswer>("POST", "/v1/invoices/run", { withoutAccount: true });
  show(context, body, ({ closed, drafted, finalized, parked }) => [
    `${closed} months closed, ${drafted} invoices drafted, ${finalized} finalized.`,
    ...(parked === 0 ? [] : [`${parked} accounts are parked, since their numbers do not reconcile: see weir doctor.`]),
  ]);
  return EXIT.ok;
}

async function handOver(context: Context, [id = ""]: Args, { retry = false }: { retry?: boolean }): Promise<ExitCode> {
  const body = await context.api.call<HandOverAnswer>(retry ? "POST" : "GET", path`/v1/invoices/${id}/hand-over`);
  const { handOverLines } = await import("../invoices/hand-over.ts");
  show(context, body, (answer) => handOverLines(answer, context.out));
  return EXIT.ok;
}

interface CreditOptions {
  amountUsdMicros: number;
  reason: string;
  idempotencyKey: string;
}

async function credit(context: Context, [id = ""]: Args, { amountUsdMicros, reason, idempotencyKey }: CreditOptions): Promise<ExitCode> {
  const request = { amountUsdMicros, reason, idempotencyKey };
  const body = await context.api.call<{ number: number }>("POST", path`/v1/invoices/${id}/credit-notes`, { body: request });
  show(context, body, ({ number }) => [`Credit note ${number} takes ${amountUsdMicros} micro-dollars off ${id}.`]);
  return EXIT.ok;
}
