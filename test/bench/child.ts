/** One benchmark in a process of its own: started by main.ts, answers with its results over the channel. */
import type { Bench, Suite } from "./bench.ts";

/** What main.ts sends. */
export type Order = { suite: string } & Pick<Bench, "profile" | "databaseUrl" | "redisUrl" | "second" | "dataDir">;

process.once("message", (order: Order) => {
  void perform(order).then(
    (results) => answer({ results }),
    (error: unknown) => answer({ error: error instanceof Error ? (error.stack ?? error.message) : String(error) }),
  );
});

async function perform({ suite, ...given }: Order) {
  const closers: Bench["closers"] = [];
  const say = (line: string): void => void process.stderr.write(`    ${line}\n`);
  try {
    const { run } = (await import(`./suite/${suite}.ts`)) as Suite;
    return await run({ ...given, say, closers });
  } finally {
    for (let close = closers.pop(); close; close = closers.pop()) await close();
  }
}

function answer(message: unknown): void {
  process.send?.(message, () => process.exit(0));
}
