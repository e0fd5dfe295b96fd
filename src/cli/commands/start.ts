import type { Command } from "commander";
import { integer } from "../parse.ts";

/** Many more than a machine has cores only queue. */
const WORKERS_MAX = 64;

/** Runs Weir in the foreground until it is stopped. It reads its settings from the environment. */
export function register(command: Command): void {
  command
    .option("--workers <n>", "processes that serve the API on one port; State stays in the one that is started", integer(1, WORKERS_MAX), 1)
    .option("--no-jobs", "leave jobs to `weir worker`, but those of State, which run where State is")
    .action(async ({ workers, jobs }: { workers: number; jobs: boolean }) => {
      const { start } = await import("../start.ts");
      await start({ workers, jobs });
    });
}
