import type { Command } from "commander";
import { sleep } from "../../kernel/clock.ts";
import { action, show, type Context } from "../context.ts";
import { EXIT, type ExitCode } from "../exit.ts";
import { meterTable, type UsageAnswer } from "../meter-table.ts";
import { usd } from "../terminal/figures.ts";
import { untilInterrupted } from "../replay/interrupt.ts";
import { LiveBlock } from "../terminal/live.ts";
import type { Surface } from "../terminal/surface.ts";
import { historyOptions, refuseStray, showHistory, type HistoryOptions } from "./history.ts";

interface UsageOptions extends HistoryOptions {
  all?: boolean;
  watch?: boolean;
}

/** How often `--watch` looks, milliseconds. */
const WATCH_MS = 1_000;

export function register(command: Command): void {
  command
    .option("--all", "show meters without usage and without a limit too")
    .option("--watch", "go on looking, each second, until Ctrl-C");
  historyOptions(command).action(
    action<UsageOptions>(async (context, _args, options) => {
      refuseStray(options);
      if (options.history !== undefined) return showHistory(context, options.history, options);
      if (options.watch === true) return watch(context, options.all === true);
      const usage = await context.api.call<UsageAnswer>("GET", "/v1/usage");
      show(context, usage, (body) => usageLines(body, options.all === true, context.out));
      return EXIT.ok;
    }),
  );
}

/** On a terminal the page redrawn in place; in a pipe a page, or with `--json` a line, whenever a figure has moved. */
async function watch(context: Context, all: boolean): Promise<ExitCode> {
  const { signal, release } = untilInterrupted(() => {});
  context.progress.stop();
  const block = new LiveBlock(context.out);
  let before = "";
  for (; !signal.aborted; await sleep(WATCH_MS, signal)) {
    const usage = await context.api.call<UsageAnswer>("GET", "/v1/usage");
    block.draw(() => usageLines(usage, all, context.out));
    const figures = JSON.stringify(usage.meters.map(({ used, limit, reserved }) => [used, limit, reserved]));
    if (figures === before || (context.out.interactive && !context.json)) continue;
    before = figures;
    if (context.json) process.stdout.write(`${JSON.stringify(usage)}\n`);
    else context.out.line([...usageLines(usage, all, context.out), ""].join("\n"));
  }
  release();
  return EXIT.ok;
}

/** The usage page: whose, as of when, the meters, what stands at its limit, the month's estimate. */
export function usageLines(usage: UsageAnswer, all: boolean, out: Surface): string[] {
  const lines = [`${out.style.strong(usage.account)}  plan ${usage.plan}  as of ${usage.asOf}`, "", ...meterTable(usage, { all }, out)];
  const reached = usage.meters.filter((m) => m.state === "exceeded");
  for (const m of reached)
    lines.push("", out.style.bad(`${m.meter} has reached its ${m.source ?? ""} limit${m.period ? ` for this ${m.period}` : ""}.`));
  const bill = usage.billingEstimate;
  if (bill) {
    const parts = `subscription ${usd(bill.subscriptionUsdMicrosPerMonth)} + overage ${usd(bill.currentMonthOverageUsdMicros)}`;
    const credits = bill.creditsAppliedUsdMicros ? ` − credits ${usd(bill.creditsAppliedUsdMicros)}` : "";
    lines.push("", `This month so far: ${usd(bill.estimatedMonthlyTotalUsdMicros)} (${parts}${credits})`);
    for (const next of bill.nextActions ?? []) lines.push(`${out.style.faint("→")} ${next}`);
  }
  return lines;
}
