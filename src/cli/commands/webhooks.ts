import { Option, type Command } from "commander";
import { path } from "../api.ts";
import { action, show, type Args, type Context } from "../context.ts";
import { EXIT } from "../exit.ts";
import { moreLines, pageable, pageQuery, type Page, type PageOptions } from "../paging.ts";
import { integer } from "../parse.ts";
import { table } from "../terminal/table.ts";

interface Webhook {
  id: string;
  url: string;
  events: string[];
  status: string;
  disabledReason: string | null;
  firstFailureAt: string | null;
  previousSecretUntil: string | null;
}

type WithSecret = Webhook & { secret: string };

interface Attempt {
  statusCode: number | null;
  error: string | null;
}

interface Delivery {
  id: string;
  type: string;
  status: string;
  createdAt: string;
  nextAttemptAt: string | null;
  attemptCount: number;
  attempts: Attempt[];
}

interface CreateOptions {
  event?: string[];
  description?: string;
}

const WEEK_SECONDS = 604_800;

export function register(command: Command): void {
  pageable(command.command("list").description("the account's endpoints")).action(action<PageOptions>(list));
  command
    .command("create")
    .description("register an endpoint; its secret is shown once")
    .argument("<url>", "https://…")
    .addOption(new Option("--event <type>", "a type it wants, repeatable (default: all)").argParser(collect))
    .option("--description <text>", "to tell it from the others")
    .action(action<CreateOptions>(create));
  single(command, "delete", "remove an endpoint with its deliveries", "DELETE", "", (id) => [`Deleted ${id}.`]);
  single(command, "enable", "take a disabled endpoint into use again", "POST", "/enable", (id) => [`Enabled ${id}.`]);
  single(command, "test", "send a webhook.test", "POST", "/test", (id) => [`On its way: see weir webhooks deliveries ${id}.`]);
  command
    .command("rotate")
    .description("give an endpoint a new secret; it is shown once, and the old one goes on signing for a day")
    .argument("<id>", "the endpoint, as `weir webhooks list` shows it")
    .option("--previous-secret-seconds <n>", "how long the old one goes on signing", integer(0, WEEK_SECONDS))
    .action(action<{ previousSecretSeconds?: number }>(rotate));
  pageable(
    command
      .command("deliveries")
      .description("what was sent to an endpoint, and how it answered")
      .argument("<id>", "the endpoint, as `weir webhooks list` shows it"),
  ).action(action<PageOptions>(deliveries));
  command
    .command("replay")
    .description("send a delivery again, with the same id and body")
    .argument("<id>", "the endpoint, as `weir webhooks list` shows it")
    .argument("<delivery>", "as `weir webhooks deliveries` shows it")
    .action(
      action(async (context, [id = "", delivery = ""]) => {
        const body = await context.api.call("POST", path`/v1/webhooks/${id}/deliveries/${delivery}/replay`);
        show(context, body, () => [`On its way again: see weir webhooks deliveries ${id}.`]);
        return EXIT.ok;
      }),
    );
}

/** A command that does one thing to one endpoint. */
function single(
  command: Command,
  name: string,
  description: string,
  method: "POST" | "DELETE",
  route: string,
  said: (id: string) => string[],
): void {
  command
    .command(name)
    .description(description)
    .argument("<id>", "the endpoint, as `weir webhooks list` shows it")
    .action(
      action(async (context, [id = ""]) => {
        const body = await context.api.call(method, `${path`/v1/webhooks/${id}`}${route}`);
        show(context, body, () => said(id));
        return EXIT.ok;
      }),
    );
}

const collect = (type: string, earlier: string[] = []): string[] => [...earlier, type];

async function list(context: Context, _args: Args, options: PageOptions): Promise<typeof EXIT.ok> {
  const body = await context.api.call<{ webhooks: Webhook[] } & Page>("GET", "/v1/webhooks", { query: pageQuery(options) });
  show(context, body, ({ webhooks }) => {
    const columns = [{ title: "ID" }, { title: "STATE" }, { title: "EVENTS" }, { title: "URL" }];
    const rows = webhooks.map((w) => [w.id, stateOf(w), w.events.length === 0 ? "all" : w.events.join(","), w.url]);
    return [...table(columns, rows, context.out.style), ...moreLines(body)];
  });
  return EXIT.ok;
}

function stateOf({ status, disabledReason, firstFailureAt }: Webhook): string {
  if (status === "disabled") return `disabled (${disabledReason ?? "?"})`;
  return firstFailureAt === null ? "enabled" : `failing since ${firstFailureAt}`;
}

async function create(context: Context, [url = ""]: Args, { event, description }: CreateOptions): Promise<typeof EXIT.ok> {
  const body = { url, ...(event === undefined ? {} : { events: event }), ...(description === undefined ? {} : { description }) };
  secret(context, await context.api.call<WithSecret>("POST", "/v1/webhooks", { body }));
  return EXIT.ok;
}

async function rotate(context: Context, [id = ""]: Args, options: { previousSecretSeconds?: number }): Promise<typeof EXIT.ok> {
  const { previousSecretSeconds } = options;
  const body = previousSecretSeconds === undefined ? {} : { previousSecretSeconds };
  const rotated = await context.api.call<WithSecret>("POST", path`/v1/webhooks/${id}/rotate`, { body });
  if (!context.json && rotated.previousSecretUntil !== null)
    context.err.line(`Deliveries are also signed with the old secret until ${rotated.previousSecretUntil}.`);
  secret(context, rotated);
  return EXIT.ok;
}

/** The secret alone on stdout, so that a script can take it; the rest is for the person watching. */
function secret(context: Context, webhook: WithSecret): void {
  if (!context.json) context.err.line(`Webhook ${webhook.id}. This is the only time its secret is shown:`);
  show(context, webhook, (made) => [made.secret]);
}

async function deliveries(context: Context, [id = ""]: Args, options: PageOptions): Promise<typeof EXIT.ok> {
  const route = path`/v1/webhooks/${id}/deliveries`;
  const body = await context.api.call<{ deliveries: Delivery[] } & Page>("GET", route, { query: pageQuery(options) });
  show(context, body, (page) => {
    const columns = ["ID", "CREATED", "TYPE", "STATE", "ATTEMPTS", "LAST ANSWER", "NEXT ATTEMPT"].map((title) => ({ title }));
    const rows = page.deliveries.map((d) => [
      d.id,
      d.createdAt,
      d.type,
      d.status,
      String(d.attemptCount),
      answerOf(d.attempts[0]),
      d.nextAttemptAt ?? "–",
    ]);
    return [...table(columns, rows, context.out.style), ...moreLines(body)];
  });
  return EXIT.ok;
}

const answerOf = (attempt: Attempt | undefined): string =>
  attempt?.statusCode === null || attempt === undefined ? (attempt?.error ?? "–") : String(attempt.statusCode);
