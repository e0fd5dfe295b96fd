import type { Command } from "commander";
import { integer } from "../parse.ts";

/** Runs jobs for a Weir that runs elsewhere. */
export function register(command: Command): void {
  command
    .option("--concurrency <n>", "jobs at once (all kinds, unless told)", integer(1, 64))
    .action(async ({ concurrency }: { concurrency?: number }) => {
      const { work } = await import("../worker.ts");
      await work(concurrency);
    });
}
