/**
 * `npm run test:billing -- [--accounts N] [--kills K] [--seed S]`: invoices made by processes that are killed, against undisturbed ones.
 * `npm run test:billing -- --scale 1000,10000,100000`: time and memory by the number of accounts.
 */
import { parseArgs } from "node:util";
import postgres from "postgres";
import { startPostgres } from "../../src/servers/postgres.ts";
import { migrate } from "../../src/stores/migrate.ts";
import { tempDir } from "../support/temp-dir.ts";
import { killedRuns } from "./killed-runs.ts";
import { measure } from "./measure.ts";
import { seed } from "./seed.ts";

/** Hours with usage a meter and account. */
const HOURS = 24;
const DATABASE = "weir_billing";
/** Days that the usage of the proof is spread over: three months end. */
const DAYS = 87;

const { values } = parseArgs({
  options: {
    accounts: { type: "string", default: "10000" },
    kills: { type: "string", default: "40" },
    seed: { type: "string", default: "1" },
    scale: { type: "string" },
  },
});
const whole = (text: string): number => {
  const n = Number(text);
  if (!Number.isSafeInteger(n) || n < 0) throw new Error(`${text} is no whole number`);
  return n;
};
const say = (line: string): void => void process.stdout.write(`${line}\n`);

const dir = tempDir("billing");
const server = await startPostgres({ dataDir: dir.path, fast: true });
try {
  process.exitCode = values.scale === undefined ? await prove() : await scale(values.scale.split(",").map(whole));
} finally {
  await server.stop();
  dir.remove();
}

async function scale(sizes: readonly number[]): Promise<number> {
  for (const accounts of sizes) {
    const { ms, peakBytes, finalized, drafted } = await measure(server.url, accounts, HOURS);
    const each = ((ms * 1_000) / (drafted + finalized)).toFixed(0);
    say(
      `${accounts} accounts: ${drafted} drafted, ${finalized} finalized in ${(ms / 1_000).toFixed(1)} s (${each} µs each), ` +
        `at most ${(peakBytes / 1e6).toFixed(0)} MB`,
    );
  }
  return 0;
}

async function prove(): Promise<number> {
  const accounts = whole(values.accounts);
  const sql = postgres(server.url, { max: 1, onnotice: () => {} });
  await sql.unsafe(`create database ${DATABASE}`);
  await sql.end();
  const url = Object.assign(new URL(server.url), { pathname: `/${DATABASE}` }).href;
  await migrate(url);
  await seed(url, { accounts, hours: HOURS, days: DAYS, varied: true });
  const options = { kills: whole(values.kills), seed: whole(values.seed), atOnce: 200 };
  const { kills, undisturbed, disturbed, undisturbedMs } = await killedRuns(server.url, DATABASE, options);
  say(`${accounts} accounts, 5 meters, ${kills} processes killed; undisturbed in ${(undisturbedMs / 1_000).toFixed(1)} s`);
  say(`undisturbed: ${JSON.stringify(undisturbed)}`);
  say(`disturbed:   ${JSON.stringify(disturbed)}`);
  const same = JSON.stringify(undisturbed) === JSON.stringify(disturbed) && disturbed.wrongNumbers === 0 && disturbed.untold === 0;
  say(same ? "identical; no number twice or missing" : "NOT identical");
  return same ? 0 : 1;
}
