import type { Command } from "commander";
import { path } from "../api.ts";
import { accountOf, action, show, type Context, type Args } from "../context.ts";
import { EXIT } from "../exit.ts";
import { usageError } from "../failure.ts";
import { moreLines, pageable, pageQuery, type Page, type PageOptions } from "../paging.ts";
import { integer } from "../parse.ts";
import { fields, table } from "../terminal/table.ts";

interface AccountOptions {
  name?: string;
  email?: string;
  plan?: string;
  billingAnchorDay?: number;
  timezone?: string;
  rateAlert?: boolean;
}

type Account = Record<string, unknown> & { account?: string; id?: string };

export function register(command: Command): void {
  pageable(command.command("list").description("all accounts (operator)")).action(action<PageOptions>(list));
  command
    .command("show")
    .description("one account; the present one when none is named")
    .argument("[id]", "the account")
    .action(
      action(async (context, [id = ""]) => {
        const body = await context.api.call<Account>("GET", path`/v1/accounts/${id || (await accountOf(context))}`, {
          withoutAccount: true,
        });
        show(context, body, (account) => accountLines(account, context));
        return EXIT.ok;
      }),
    );
  settings(command.command("create").description("create an account (operator)").argument("<id>", "the account")).action(
    action<AccountOptions>((context, [id = ""], options) => put(context, id, options)),
  );
  settings(command.command("update").description("change an account (operator)").argument("<id>", "the account")).action(
    action<AccountOptions>((context, [id = ""], options) => {
      if (Object.keys(settingsOf(options)).length === 0)
        throw usageError("Say what to change.", "For example --plan pro or --timezone Europe/Berlin.");
      return put(context, id, options);
    }),
  );
  command
    .command("plan")
    .description("move an account to another plan (operator)")
    .argument("<id>", "the account")
    .argument("<plan>", "free, pro or one of the catalogue's own")
    .option("--at-period-end", "change when the billing month ends, not now")
    .action(
      action<{ atPeriodEnd?: boolean }>(async (context, [id = "", plan = ""], options) => {
        const effective = options.atPeriodEnd ? "period_end" : "now";
        const body = await context.api.call<Account>("PUT", path`/v1/accounts/${id}/subscription`, {
          body: { plan, effective },
          withoutAccount: true,
        });
        const when = options.atPeriodEnd ? "from the next billing month on" : "in force for the next check";
        show(context, body, () => [`${id}: plan ${plan}, ${when}.`]);
        return EXIT.ok;
      }),
    );
}

function settings(command: Command): Command {
  return command
    .option("--name <name>", "what people call it")
    .option("--email <email>", "where notices go")
    .option("--plan <plan>", "free, pro or one of the catalogue's own")
    .option("--billing-anchor-day <1-31>", "the day its billing months begin", integer(1, 31))
    .option("--timezone <zone>", "the IANA zone its billing months begin in")
    .option("--rate-alert", "tell of hours with ten times the usual usage")
    .option("--no-rate-alert", "do not tell of such hours");
}

function settingsOf({ name, email, plan, billingAnchorDay, timezone, rateAlert }: AccountOptions): AccountOptions {
  return {
    ...(name === undefined ? {} : { name }),
    ...(email === undefined ? {} : { email }),
    ...(plan === undefined ? {} : { plan }),
    ...(billingAnchorDay === undefined ? {} : { billingAnchorDay }),
    ...(timezone === undefined ? {} : { timezone }),
    ...(rateAlert === undefined ? {} : { rateAlert }),
  };
}

async function put(context: Context, id: string, options: AccountOptions): Promise<typeof EXIT.ok> {
  const body = await context.api.call<Account>("PUT", path`/v1/accounts/${id}`, { body: settingsOf(options), withoutAccount: true });
  show(context, body, (account) => accountLines(account, context));
  return EXIT.ok;
}

async function list(context: Context, _args: Args, options: PageOptions): Promise<typeof EXIT.ok> {
  const body = await context.api.call<{ accounts: Account[] } & Page>("GET", "/v1/accounts", {
    query: pageQuery(options),
    withoutAccount: true,
  });
  show(context, body, ({ accounts }) => {
    const columns = [{ title: "ACCOUNT" }, { title: "PLAN" }, { title: "NAME" }, { title: "CREATED" }];
    const rows = accounts.map((a) => [text(a.account ?? a.id), text(a["plan"]), text(a["name"]), text(a["createdAt"])]);
    return [...table(columns, rows, context.out.style), ...moreLines(body)];
  });
  return EXIT.ok;
}

function accountLines(account: Account, context: Context): string[] {
  return fields(
    Object.entries(account).map(([name, value]) => [name, text(value)] as const),
    context.out.style,
  );
}

const text = (value: unknown): string => {
  if (value === null || value === undefined) return "–";
  return typeof value === "string" || typeof value === "number" || typeof value === "boolean" ? String(value) : JSON.stringify(value);
};
