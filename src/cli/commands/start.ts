import type { Command } from "commander";

/** Runs Weir in the foreground until it is stopped. It reads its settings from the environment. */
export function register(command: Command): void {
  command.action(async () => {
    const { start } = await import("../start.ts");
    await start();
  });
}
