import { readFile, stat } from "node:fs/promises";
import type { Command } from "commander";
import { findPlan } from "../../catalog/catalog.ts";
import { readCatalogOrDefault } from "../catalog-source.ts";
import { action, show, type Args, type Context } from "../context.ts";
import { EXIT, type ExitCode } from "../exit.ts";
import { usageError } from "../failure.ts";
import { money, span } from "../invoices/invoice-lines.ts";
import { count } from "../terminal/figures.ts";
import { table } from "../terminal/table.ts";

/** A plan document of 500 meters has about 100 kB. */
const FILE_BYTES_MAX = 1024 * 1024;
/** Accounts that `--all` prices: one call each. */
const ACCOUNTS_MAX = 100_000;
const PAGE = 1_000;
/** Accounts priced at once. */
const AT_ONCE = 8;
const ROWS_SHOWN = 50;

interface Options {
  from?: string;
  to?: string;
  all?: boolean;
}

/** What the command line reads of a simulation. */
interface Simulated {
  account: string;
  plan: string;
  currency: string;
  period: { start: string; end: string };
  lines: { kind: string; description: string; amountUsdMicros: number; explain: { text: string } }[];
  totalUsdMicros: number;
  actualUsdMicros: number;
}

export function register(command: Command): void {
  command
    .argument("<plan>", "a plan's key, or a file with a plan document (JSON)")
    .option("--from <time>", "from when on (default: the first of this month, UTC)")
    .option("--to <time>", "until when (default: now)")
    .option("--all", "every account, with revenue before and after")
    .action(action<Options>(simulate));
}

async function simulate(context: Context, [name = ""]: Args, options: Options): Promise<ExitCode> {
  const plan = await planOf(context, name);
  const { from, to } = options;
  const price = (account: string): Promise<Simulated> =>
    context.api.call<Simulated>("POST", "/v1/pricing/simulate", { body: { account, plan, from, to }, withoutAccount: true });
  if (options.all !== true) {
    show(context, await price(accountOf(context)), oneLines(context));
    return EXIT.ok;
  }
  const simulations = await priceAll(context, price);
  const before = simulations.reduce((sum, one) => sum + one.actualUsdMicros, 0);
  const after = simulations.reduce((sum, one) => sum + one.totalUsdMicros, 0);
  const accounts = simulations.map((one) => ({
    account: one.account,
    beforeUsdMicros: one.actualUsdMicros,
    afterUsdMicros: one.totalUsdMicros,
    changeUsdMicros: one.totalUsdMicros - one.actualUsdMicros,
  }));
  accounts.sort((a, b) => b.changeUsdMicros - a.changeUsdMicros || a.account.localeCompare(b.account));
  const [first] = simulations;
  const span = { from: from ?? first?.period.start ?? null, to: to ?? first?.period.end ?? null };
  show(context, { ...span, beforeUsdMicros: before, afterUsdMicros: after, accounts }, (all) => allLines(context, all));
  return EXIT.ok;
}

function accountOf({ api }: Context): string {
  const { account } = api.connection;
  if (!account) throw usageError("Whose usage?", "Add --account <account>, or --all.");
  return account;
}

/** A plan of the catalogue by its key, or what a file holds. */
async function planOf(context: Context, name: string): Promise<unknown> {
  const found = await stat(name).catch(() => null);
  if (found?.isFile()) {
    if (found.size > FILE_BYTES_MAX) throw usageError(`${name} is larger than a plan document can be.`);
    try {
      return JSON.parse(await readFile(name, "utf8"));
    } catch {
      throw usageError(`${name} is not valid JSON.`, "It holds one plan document: see `weir catalog show`.");
    }
  }
  const catalog = await readCatalogOrDefault(context.api);
  const plan = findPlan(catalog, name);
  if (!plan) throw usageError(`"${name}" is neither a plan nor a file.`, `Plans: ${catalog.plans.map(({ key }) => key).join(", ")}.`);
  return plan;
}

/** Prices every account, a few at a time. */
async function priceAll(context: Context, price: (account: string) => Promise<Simulated>): Promise<Simulated[]> {
  const priced: Simulated[] = [];
  let cursor: string | undefined;
  do {
    const page: { accounts: { account: string }[]; nextCursor: string | null } = await context.api.call("GET", "/v1/accounts", {
      query: { limit: PAGE, cursor },
      withoutAccount: true,
    });
    for (let i = 0; i < page.accounts.length; i += AT_ONCE) {
      priced.push(...(await Promise.all(page.accounts.slice(i, i + AT_ONCE).map(({ account }) => price(account)))));
      context.progress.say(`${count(priced.length)} accounts priced`);
    }
    cursor = page.nextCursor ?? undefined;
  } while (cursor !== undefined && priced.length < ACCOUNTS_MAX);
  return priced;
}

const oneLines =
  ({ out }: Context) =>
  (found: Simulated): string[] => [
    `${out.style.strong(found.account)} under ${found.plan}, ${span(found.period)}`,
    "",
    ...table(
      [{ title: "KIND" }, { title: "WHAT" }, { title: "AMOUNT", align: "right" }],
      found.lines.map((line) => [line.kind, line.description, money(line.amountUsdMicros, found.currency)]),
      out.style,
    ),
    "",
    `Total ${money(found.totalUsdMicros, found.currency)}; under the plans it had ${money(found.actualUsdMicros, found.currency)}.`,
  ];

interface All {
  beforeUsdMicros: number;
  afterUsdMicros: number;
  accounts: { account: string; beforeUsdMicros: number; afterUsdMicros: number; changeUsdMicros: number }[];
}

function allLines({ out }: Context, { beforeUsdMicros, afterUsdMicros, accounts }: All): string[] {
  const usd = (micros: number): string => money(micros, "USD");
  const more = accounts.filter(({ changeUsdMicros }) => changeUsdMicros > 0).length;
  const less = accounts.filter(({ changeUsdMicros }) => changeUsdMicros < 0).length;
  return [
    `Revenue ${usd(beforeUsdMicros)} before, ${usd(afterUsdMicros)} after (${usd(afterUsdMicros - beforeUsdMicros)}).`,
    `${more} of ${accounts.length} accounts pay more, ${less} pay less.`,
    "",
    ...table(
      [{ title: "ACCOUNT" }, { title: "BEFORE", align: "right" }, { title: "AFTER", align: "right" }, { title: "CHANGE", align: "right" }],
      accounts
        .slice(0, ROWS_SHOWN)
        .map((one) => [one.account, usd(one.beforeUsdMicros), usd(one.afterUsdMicros), usd(one.changeUsdMicros)]),
      out.style,
    ),
    ...(accounts.length > ROWS_SHOWN ? ["", `and ${accounts.length - ROWS_SHOWN} more: --json shows all`] : []),
  ];
}
