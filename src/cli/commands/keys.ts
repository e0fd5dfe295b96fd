import { Option, type Command } from "commander";
import { OVERLAP_SECONDS_MAX } from "../../accounts/api-key.ts";
import { path } from "../api.ts";
import { accountOf, action, show, type Context, type Args } from "../context.ts";
import { EXIT } from "../exit.ts";
import { usageError } from "../failure.ts";
import { integer } from "../parse.ts";
import { moreLines, pageable, pageQuery, type Page, type PageOptions } from "../paging.ts";
import { table } from "../terminal/table.ts";

interface ApiKey {
  id: string;
  scope: string;
  name?: string | null;
  createdAt?: string | null;
  expiresAt?: string | null;
  revokedAt?: string | null;
  lastUsedAt?: string | null;
  replacedBy?: string | null;
}

interface WhoseOptions {
  operator?: boolean;
}

interface CreateOptions extends WhoseOptions {
  scope: string;
  name?: string;
  expiresAt?: string;
}

interface RotateOptions extends WhoseOptions {
  overlapSeconds?: number;
}

const OPERATOR_SCOPES: readonly string[] = ["admin", "data_plane"];
const SCOPES = ["account", "read_only", ...OPERATOR_SCOPES];

export function register(command: Command): void {
  const whose = "the operator's own keys instead of the account's";
  pageable(command.command("list").description("keys, without their secrets").option("--operator", whose)).action(
    action<WhoseOptions & PageOptions>(list),
  );
  command
    .command("create")
    .description("make a key; its secret is shown once")
    .addOption(new Option("--scope <scope>", "what it may do").choices(SCOPES).default("account"))
    .option("--operator", whose)
    .option("--name <name>", "to tell it from the others")
    .option("--expires-at <time>", "when it stops working, for example 2027-01-01T00:00:00Z")
    .action(action<CreateOptions>(create));
  registerRotate(command, whose);
  command
    .command("delete")
    .description("take a key out of use at once")
    .argument("<id>", "the key's id, as `weir keys list` shows it")
    .option("--operator", whose)
    .action(
      action<WhoseOptions>(async (context, [id = ""], options) => {
        const base = await keysPath(context, options.operator === true);
        const body = await context.api.call("DELETE", `${base}${path`/${id}`}`, { withoutAccount: true });
        show(context, body, () => [`Deleted ${id}.`]);
        return EXIT.ok;
      }),
    );
}

function registerRotate(command: Command, whose: string): void {
  command
    .command("rotate")
    .description("put a new key in a key's place; its secret is shown once, and the old one works on for a while")
    .argument("<id>", "the key's id, as `weir keys list` shows it")
    .option("--overlap-seconds <n>", "how long the old one works on: a day unless told, 0 ends it now", integer(0, OVERLAP_SECONDS_MAX))
    .option("--operator", whose)
    .action(action<RotateOptions>(rotate));
}

async function rotate(context: Context, [id = ""]: Args, options: RotateOptions): Promise<typeof EXIT.ok> {
  const base = await keysPath(context, options.operator === true);
  const { overlapSeconds } = options;
  const body = await context.api.call<ApiKey & { key: string }>("POST", `${base}${path`/${id}/rotate`}`, {
    withoutAccount: true,
    body: overlapSeconds === undefined ? {} : { overlapSeconds },
  });
  showNewKey(context, body, `Key ${body.id} (${body.scope}) takes the place of ${id}.`);
  return EXIT.ok;
}

/** The secret alone on stdout, so that `WEIR_KEY=$(weir keys create)` works; the rest is for the person watching. */
function showNewKey(context: Context, body: ApiKey & { key: string }, sentence: string): void {
  if (!context.json) context.err.line(`${sentence} This is the only time its secret is shown:`);
  show(context, body, (made) => [made.key]);
}

async function keysPath(context: Context, operator: boolean): Promise<string> {
  return operator ? "/v1/keys" : path`/v1/accounts/${await accountOf(context)}/keys`;
}

async function list(context: Context, _args: Args, options: WhoseOptions & PageOptions): Promise<typeof EXIT.ok> {
  const base = await keysPath(context, options.operator === true);
  const body = await context.api.call<{ keys: ApiKey[] } & Page>("GET", base, { query: pageQuery(options), withoutAccount: true });
  show(context, body, ({ keys }) => {
    const columns = [
      { title: "ID" },
      { title: "SCOPE" },
      { title: "NAME" },
      { title: "CREATED" },
      { title: "EXPIRES" },
      { title: "LAST USED" },
      { title: "STATE" },
    ];
    const rows = keys.map((k) => [
      k.id,
      k.scope,
      k.name ?? "–",
      k.createdAt ?? "–",
      k.expiresAt ?? "never",
      k.lastUsedAt ?? "–",
      k.revokedAt ? "revoked" : k.replacedBy ? `replaced by ${k.replacedBy}` : "in use",
    ]);
    return [...table(columns, rows, context.out.style), ...moreLines(body)];
  });
  return EXIT.ok;
}

async function create(context: Context, _args: Args, options: CreateOptions): Promise<typeof EXIT.ok> {
  const operator = OPERATOR_SCOPES.includes(options.scope);
  if (options.operator && !operator)
    throw usageError(
      `A key of scope ${options.scope} belongs to an account.`,
      `Leave out --operator, or use --scope ${OPERATOR_SCOPES.join(" or ")}.`,
    );
  const body = await context.api.call<ApiKey & { key: string }>("POST", await keysPath(context, operator), {
    withoutAccount: true,
    body: {
      scope: options.scope,
      ...(options.name === undefined ? {} : { name: options.name }),
      ...(options.expiresAt === undefined ? {} : { expiresAt: options.expiresAt }),
    },
  });
  showNewKey(context, body, `Key ${body.id} (${body.scope}).`);
  return EXIT.ok;
}
