import { measure } from "../../billing/measure.ts";
import type { Bench } from "../bench.ts";
import { atMost, figure, type Result } from "../result.ts";

export const title =
  "A month closed for accounts with five meters each: time an account at ten times as many beside a tenth of them (linear is 1), and the process' greatest memory.";

const HOURS = 8;

export async function run(bench: Bench): Promise<Result[]> {
  const { accounts } = bench.profile;
  const [few, many] = [await measure(bench.databaseUrl, accounts / 10, HOURS), await measure(bench.databaseUrl, accounts, HOURS)];
  const perAccount = ({ ms, accounts: count }: typeof few): number => ms / count;
  const megabytes = ({ peakBytes }: typeof few): number => peakBytes / 1e6;
  const [value, baseline] = [perAccount(many), perAccount(few)];
  return [
    figure(`invoices.${accounts}_accounts`, "accounts/s", { value: (accounts * 1_000) / many.ms }),
    figure("invoices.time_per_account", "ms", { value, baseline, ratio: value / baseline }, atMost(1.2)),
    figure(
      "invoices.peak_rss",
      "MB",
      { value: megabytes(many), baseline: megabytes(few), ratio: many.peakBytes / few.peakBytes },
      atMost(1.5),
    ),
  ];
}
