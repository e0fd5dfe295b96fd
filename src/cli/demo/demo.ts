import { monotonicMs, sleep, systemClock } from "../../kernel/clock.ts";
import { randomBase62 } from "../../kernel/ids.ts";
import { mixedTraffic, MIX_CREDIT } from "../../replay/mix.ts";
import { Tally } from "../../replay/tally.ts";
import { readCatalogOrDefault } from "../catalog-source.ts";
import { accountOf, type Context } from "../context.ts";
import type { Denial } from "../../client/types.ts";
import { CommandFailure, denialLines } from "../failure.ts";
import { meterTable, type MeterStanding, type UsageAnswer } from "../meter-table.ts";
import { sendChecks } from "../replay/check-sender.ts";
import { untilInterrupted } from "../replay/interrupt.ts";
import type { Run } from "../replay/run.ts";
import { ThroughChecks } from "../replay/through-checks.ts";
import { ThroughState } from "../replay/through-state.ts";
import { count } from "../terminal/figures.ts";
import { LiveBlock } from "../terminal/live.ts";
import { dueNow } from "./pace.ts";
import { frameLines, progressText, type Progress } from "./screen.ts";

export interface DemoOptions {
  seconds: number;
  seed: number;
}

/** How the demo ended: at the limit (with the denial), or before. */
export interface DemoResult {
  account: string;
  operations: number;
  denial: Denial | null;
  usage: UsageAnswer;
}

const SERVICE = "demo";
const NAMESPACE = "Demo";
const METER = "state_requests";

const TICK_MS = 250;
const USAGE_EVERY_MS = 500;
const PIPE_LINE_EVERY_MS = 5_000;

/** Values really stored at the start, so that there is something to look at afterwards. */
const STORED_FIRST = 12;

/** What one machine sends within the longest demo, with room to spare. */
const REMAINING_MAX = 500_000;

/** The traffic ends after this many times its planned length, whatever the limits say. */
const OVERTIME = 3;

const readUsage = (context: Context): Promise<UsageAnswer> => context.api.call<UsageAnswer>("GET", "/v1/usage");

/** Sends traffic until the day's requests are used up. */
export async function demo(context: Context, options: DemoOptions): Promise<DemoResult> {
  const account = await accountOf(context);
  const usage = await readUsage(context);
  const standing = limitToReach(usage);
  const run = await createRun(context, account);
  const { err } = context;
  err.line(
    `${err.style.strong("Weir demo")}: account ${account} on plan ${usage.plan}, ${count(standing.limit ?? 0)} ${METER} a ${standing.period ?? "window"}.`,
  );
  if ((standing.remaining ?? 0) === 0) {
    err.line("They are used up already; this is what the next operation is told:");
    return { account, operations: 0, denial: await firstDenial(run), usage };
  }
  err.line(`${count(standing.remaining ?? 0)} are left; traffic as in ${MIX_CREDIT} uses them up in about ${options.seconds} s.\n`);
  const traffic = new Traffic(context, run, usage, standing.remaining ?? 0, options);
  const denial = await traffic.flow();
  return { account, operations: run.tally.sent, denial, usage: await readUsage(context) };
}

function limitToReach(usage: UsageAnswer): MeterStanding {
  const standing = usage.meters.find((m) => m.meter === METER);
  if (standing && standing.remaining !== null && standing.remaining <= REMAINING_MAX) return standing;
  throw new CommandFailure(`${usage.account} (plan ${usage.plan}) has no limit on ${METER} that a minute of traffic could reach.`, {
    remedy: "Make a Free account for it: weir accounts create acct_demo_2 --plan free && weir demo --account acct_demo_2",
  });
}

async function createRun(context: Context, account: string): Promise<Run> {
  return {
    api: context.api,
    account,
    service: SERVICE,
    namespace: NAMESPACE,
    serviceForced: false,
    namespaceForced: false,
    catalog: await readCatalogOrDefault(context.api),
    tally: new Tally(),
    id: `demo-${randomBase62(10)}`,
    services: new Set(),
  };
}

async function firstDenial(run: Run): Promise<Denial | null> {
  const check = { account: run.account, service: SERVICE, namespace: NAMESPACE, object: "cluster-4-0", operation: "put" };
  const [checked] = await sendChecks(run.api, [{ ...check, usage: { state_requests: 1 }, idempotencyKey: `${run.id}-denied` }]);
  return checked?.decision?.denials[0] ?? null;
}

/** The traffic of one demo: paced, mixed, watched. */
class Traffic {
  readonly #context: Context;
  readonly #run: Run;
  readonly #remaining: number;
  readonly #options: DemoOptions;
  readonly #live: LiveBlock;
  readonly #next: ReturnType<typeof mixedTraffic>;
  #usage: UsageAnswer;
  #usageAt = 0;
  #lineAt = 0;
  #denial: Denial | null = null;

  constructor(context: Context, run: Run, usage: UsageAnswer, remaining: number, options: DemoOptions) {
    this.#context = context;
    this.#run = run;
    this.#usage = usage;
    this.#remaining = remaining;
    this.#options = options;
    this.#next = mixedTraffic(options.seed);
    this.#live = new LiveBlock(context.err);
  }

  /** Flows until the limit answers, Ctrl-C, or the time is up; answers the denial. */
  async flow(): Promise<Denial | null> {
    const { tally } = this.#run;
    const checks = new ThroughChecks(this.#run, (denial) => this.#noteDenial(denial));
    const state = new ThroughState(this.#run);
    const interrupt = untilInterrupted(() => this.#context.err.line("Stopping."));
    const planned = this.#options.seconds * 1000;
    await state.work(Array.from({ length: STORED_FIRST }, () => ({ ...this.#next(), kind: "put" as const, bytes: 64 })));
    const started = monotonicMs();
    for (;;) {
      const elapsedMs = monotonicMs() - started;
      const progress: Progress = { elapsedMs, checks: tally.sent, denied: tally.denied };
      await this.#show(progress);
      if (this.#denial || interrupt.signal.aborted || elapsedMs > planned * OVERTIME) {
        this.#live.finish(() => frameLines(this.#usage, progress, this.#context.err));
        interrupt.release();
        return this.#denial;
      }
      const due = dueNow(this.#remaining, planned, elapsedMs, tally.sent);
      await checks.work(Array.from({ length: due }, () => this.#next()));
      await state.work([this.#next()]);
      await sleep(TICK_MS, interrupt.signal);
    }
  }

  #noteDenial(denial: Denial): void {
    if (denial.meter === METER) this.#denial ??= denial;
  }

  async #show(progress: Progress): Promise<void> {
    const { err } = this.#context;
    const now = monotonicMs();
    if (now - this.#usageAt >= USAGE_EVERY_MS || this.#denial) {
      this.#usage = await readUsage(this.#context);
      this.#usageAt = now;
    }
    this.#live.draw(() => frameLines(this.#usage, progress, err));
    if (!err.interactive && now - this.#lineAt >= PIPE_LINE_EVERY_MS) {
      err.line(progressText(progress));
      this.#lineAt = now;
    }
  }
}

/** What stays on the screen: where the meters stand, the denial as the data plane got it, and what to try next. */
export function demoLines(result: DemoResult, context: Context): string[] {
  const { out } = context;
  const { account, denial, usage } = result;
  const lines = ["", ...meterTable(usage, { all: false }, out), ""];
  if (!denial) return [...lines, "Stopped before the limit. `weir demo` goes on from here."];
  lines.push(out.style.bad(`Denied: ${denial.message}`), ...denialLines(denial, systemClock.now(), out.style), "", "Next:");
  const next: [string, string][] = [
    [`weir accounts plan ${account} pro`, "lift the limit; it is in force for the next check"],
    [`weir usage --account ${account}`, "where every meter stands"],
    [`weir state objects --service ${SERVICE} ${NAMESPACE} --account ${account}`, "what the demo stored (once requests are allowed again)"],
    [`weir limits set ${METER} --period month --value 1000000`, "a cap of your own"],
  ];
  const width = Math.max(...next.map(([command]) => command.length));
  return [...lines, ...next.map(([command, why]) => `  ${command.padEnd(width)}  ${out.style.faint(why)}`)];
}
