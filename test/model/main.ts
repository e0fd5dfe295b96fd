/** `npm run test:model -- [--runs N] [--seed S] [--path P]`: random commands against real stores and the reference model. */
import { parseArgs } from "node:util";
import { startPostgres } from "../../src/servers/postgres.ts";
import { startRedis } from "../../src/servers/redis.ts";
import { migrate } from "../../src/stores/migrate.ts";
import { tempDir } from "../support/temp-dir.ts";
import { checkModel } from "./property.ts";
import { System } from "./system.ts";

const { values } = parseArgs({
  options: { runs: { type: "string", default: "200" }, seed: { type: "string", default: "1" }, path: { type: "string" } },
});
const runs = Number(values.runs);
const seed = Number(values.seed);
if (!Number.isSafeInteger(runs) || runs < 1 || !Number.isSafeInteger(seed)) throw new Error("--runs and --seed take whole numbers");

const dir = tempDir("model");
const [postgres, redis] = await Promise.all([
  startPostgres({ dataDir: dir.path, fast: true }),
  startRedis({ dataDir: dir.path, appendOnly: false }),
]);
try {
  await migrate(postgres.url);
  const system = await System.open({ databaseUrl: postgres.url, redisUrl: redis.url, keyPrefix: "model:" });
  try {
    await checkModel(system, { seed, runs, ...(values.path === undefined ? {} : { path: values.path }) });
    process.stdout.write(`${runs} runs with seed ${seed}: Weir and the model agree\n`);
  } finally {
    await system.close();
  }
} catch (error) {
  process.stdout.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
} finally {
  await Promise.all([postgres.stop(), redis.stop()]);
  dir.remove();
}
