import { Option, type Command } from "commander";
import { systemClock } from "../../kernel/clock.ts";
import { QUANTITY_MAX } from "../../kernel/quantity.ts";
import { accountOf, action, printJson, type Context, type Args } from "../context.ts";
import { EXIT, type ExitCode } from "../exit.ts";
import type { Denial } from "../../client/types.ts";
import { denialLines, usageError } from "../failure.ts";
import { integer, meterQuantity } from "../parse.ts";
import { count } from "../terminal/figures.ts";
import { table } from "../terminal/table.ts";

interface CheckOptions {
  service?: string;
  namespace?: string;
  object?: string;
  usage?: Record<string, number>;
  storageDelta?: number;
  storageSet?: number;
  payloadBytes?: number;
  mode?: "consume" | "peek";
  idempotencyKey?: string;
}

interface Decision {
  allowed: boolean;
  decisionId: string;
  denials: Denial[];
  meters: Record<string, { period: string | null; used: number; reserved: number; limit: number | null; remaining: number | null }>;
}

export function register(command: Command): void {
  command
    .argument("[operation]", "an operation of the catalogue, for example put")
    .option("--usage <meter=n>", "count this much of a meter (repeatable; instead of the operation's own row)", meterQuantity)
    .option("--service <service>", "the service it is booked on")
    .option("--namespace <namespace>", "the State class")
    .option("--object <object>", "the object")
    .option("--storage-delta <n>", "by how many bytes the object grows or shrinks", integer(-QUANTITY_MAX))
    .addOption(new Option("--storage-set <n>", "the object's measured size in bytes").argParser(integer(0)).conflicts("storageDelta"))
    .option("--payload-bytes <n>", "key plus value", integer(0))
    .addOption(new Option("--mode <mode>", "decide and count, or only decide").choices(["consume", "peek"]))
    .option("--idempotency-key <key>", "the same key gives the same decision and counts once")
    .action(action<CheckOptions>(check));
}

async function check(context: Context, [operation = ""]: Args, options: CheckOptions): Promise<ExitCode> {
  if (operation === "" && options.usage === undefined && options.storageDelta === undefined && options.storageSet === undefined) {
    throw usageError(
      "Say what to check: an operation, or --usage <meter=n>.",
      "For example: weir check put, or weir check --usage state_requests=1.",
    );
  }
  const decision = await context.api.call<Decision>("POST", "/v1/check", { body: await checkBody(context, operation, options) });
  if (context.json) printJson(context, decision);
  else for (const line of decisionLines(decision, context)) context.out.line(line);
  return decision.allowed ? EXIT.ok : EXIT.denied;
}

async function checkBody(context: Context, operation: string, options: CheckOptions): Promise<Record<string, unknown>> {
  const storageBytes =
    options.storageSet !== undefined
      ? { set: options.storageSet }
      : options.storageDelta !== undefined
        ? { delta: options.storageDelta }
        : undefined;
  const { service, namespace, object, usage, payloadBytes, mode, idempotencyKey } = options;
  const account = await accountOf(context);
  // JSON leaves out what is undefined, and so does the check.
  return {
    account,
    service,
    namespace,
    object,
    operation: operation || undefined,
    usage,
    storageBytes,
    payloadBytes,
    mode,
    idempotencyKey,
  };
}

function decisionLines(decision: Decision, context: Context): string[] {
  const { style } = context.out;
  const lines = [decision.allowed ? style.good("allowed") : style.bad("denied")];
  for (const denial of decision.denials) lines.push(`  ${denial.message}`, ...denialLines(denial, systemClock.now(), style));
  const right = "right" as const;
  const columns = [
    { title: "METER" },
    { title: "WINDOW" },
    { title: "USED", align: right },
    { title: "LIMIT", align: right },
    { title: "LEFT", align: right },
  ];
  const rows = Object.entries(decision.meters).map(([meter, m]) => [
    meter,
    m.period ?? "–",
    count(m.used),
    m.limit === null ? "–" : count(m.limit),
    m.remaining === null ? "–" : count(m.remaining),
  ]);
  return rows.length === 0 ? lines : [...lines, ...table(columns, rows, style)];
}
