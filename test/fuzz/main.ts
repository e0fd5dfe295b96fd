/** `npm run test:fuzz -- [--runs N] [--seed S]`: hostile requests to a real process; ends with `N passed, N failed`, exits 1 when one failed. */
import { setPriority } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { startPostgres } from "../../src/servers/postgres.ts";
import { startRedis } from "../../src/servers/redis.ts";
import { tempDir } from "../support/temp-dir.ts";
import { fuzz } from "./campaign.ts";
import { Digester } from "./digest.ts";
import { HonestClient } from "./honest-client.ts";
import { HANG_MS } from "./lane.ts";
import { rawCases, slowCases, type RawCase } from "./raw-cases.ts";
import { HONEST_ACCOUNT, Stage } from "./stage.ts";
import { verdict } from "./verdict.ts";

/** Requests that one party is asked about; then it has lost most of what could be asked for. */
const REQUESTS_PER_PARTY = 2_500;
/** Of the thread that makes hostile requests and reads their answers: on machines of their own, attackers take no core from who is measured. */
const FUZZER_NICE = 10;

const { values } = parseArgs({ options: { runs: { type: "string", default: "2000" }, seed: { type: "string", default: "1" } } });
const runs = Number(values.runs);
const seed = Number(values.seed);
if (!Number.isSafeInteger(runs) || runs < 1 || !Number.isSafeInteger(seed)) throw new Error("--runs and --seed take whole numbers");

const outcomeOf = async ({ name, run }: RawCase): Promise<{ name: string; fault: string | null }> => ({ name, fault: await run() });
const say = (line: string): void => void process.stdout.write(`${line}\n`);
const dir = tempDir("fuzz");
const [pg, redis] = await Promise.all([
  startPostgres({ dataDir: dir.path, fast: true }),
  startRedis({ dataDir: dir.path, appendOnly: false }),
]);
const closers: (() => Promise<unknown>)[] = [() => pg.stop(), () => redis.stop()];
try {
  say(`fuzz: seed ${seed}, ${runs} requests`);
  const stores = { databaseUrl: pg.url, redisUrl: redis.url };
  const dataDir = join(dir.path, "weir");
  const stage = await Stage.open({ ...stores, dataDir, parties: Math.ceil(runs / REQUESTS_PER_PARTY) });
  closers.push(() => stage.stop());
  const digester = new Digester({ ...stores, stateDir: join(dataDir, "state"), others: [HONEST_ACCOUNT] });
  closers.push(() => digester.close());
  const honest = new HonestClient(stage.honest);
  closers.push(() => honest.stop());
  // Of this thread alone: the servers and the honest client have started.
  setPriority(FUZZER_NICE);
  const [party] = stage.parties;
  if (!party) throw new Error("nobody to ask about");
  const ground = { url: stage.url, adminKey: stage.adminKey, party, hangMs: HANG_MS };
  const slow = Promise.all(slowCases(ground).map(outcomeOf));
  const result = await fuzz({ stage, digester, honest, runs, seed, hangMs: HANG_MS, say });
  const raw = [];
  for (const one of rawCases(ground)) raw.push(await outcomeOf(one));
  const seen = { result, raw: [...raw, ...(await slow)], honest: await honest.report(), running: stage.running, said: stage.said };
  const { passed, failed } = verdict(seen, say);
  say(`${passed} passed, ${failed} failed`);
  process.exitCode = failed === 0 ? 0 : 1;
} finally {
  for (let close = closers.pop(); close; close = closers.pop()) await close();
  dir.remove();
}
