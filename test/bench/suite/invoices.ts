import { measure } from "../../billing/measure.ts";
import type { Bench } from "../bench.ts";
import { closingFigures } from "../closing.ts";
import type { Result } from "../result.ts";

export const title =
  "A month closed for accounts with five meters each: time an account at ten times as many beside a tenth of them (linear is 1), and the process' greatest memory.";

const HOURS = 8;

export async function run(bench: Bench): Promise<Result[]> {
  const { accounts } = bench.profile;
  const [few, many] = [await measure(bench.databaseUrl, accounts / 10, HOURS), await measure(bench.databaseUrl, accounts, HOURS)];
  return closingFigures("invoices", [few, many]);
}
