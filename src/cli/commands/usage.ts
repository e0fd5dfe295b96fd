import type { Command } from "commander";
import { action, show } from "../context.ts";
import { EXIT } from "../exit.ts";
import { meterTable, type UsageAnswer } from "../meter-table.ts";
import { usd } from "../terminal/figures.ts";
import type { Surface } from "../terminal/surface.ts";
import { historyOptions, refuseStray, showHistory, type HistoryOptions } from "./history.ts";

interface UsageOptions extends HistoryOptions {
  all?: boolean;
}

export function register(command: Command): void {
  historyOptions(command.option("--all", "show meters without usage and without a limit too")).action(
    action<UsageOptions>(async (context, _args, options) => {
      refuseStray(options);
      if (options.history !== undefined) return showHistory(context, options.history, options);
      const usage = await context.api.call<UsageAnswer>("GET", "/v1/usage");
      show(context, usage, (body) => usageLines(body, options.all === true, context.out));
      return EXIT.ok;
    }),
  );
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
    lines.push("", `This month so far: ${usd(bill.estimatedMonthlyTotalUsdMicros)} (${parts})`);
    for (const next of bill.nextActions ?? []) lines.push(`${out.style.faint("→")} ${next}`);
  }
  return lines;
}
