import type { Command } from "commander";
import { action, printJson } from "../context.ts";
import { EXIT } from "../exit.ts";
import { integer } from "../parse.ts";
import type { DemoOptions } from "../demo/demo.ts";

export function register(command: Command): void {
  command
    .option("--seconds <n>", "how long the day's requests should last", integer(5, 600), 60)
    .option("--seed <n>", "the same seed sends the same operations", integer(0, 2 ** 32 - 1), 1)
    .action(
      action<DemoOptions>(async (context, _args, options) => {
        const { demo, demoLines } = await import("../demo/demo.ts");
        const result = await demo(context, options);
        if (context.json) printJson(context, result);
        else for (const line of demoLines(result, context)) context.out.line(line);
        return EXIT.ok;
      }),
    );
}
