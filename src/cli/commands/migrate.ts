import type { Command } from "commander";
import { migrate } from "../../stores/migrate.ts";
import { action, show } from "../context.ts";
import { EXIT } from "../exit.ts";
import { databaseUrl } from "./roles.ts";

/** Brings a database to this Weir's schema, for deployments whose API may not make tables. `weir start` does the same where it may. */
export function register(command: Command): void {
  command.action(
    action(async (context) => {
      const { applied } = await migrate(databaseUrl());
      show(context, { applied }, () => (applied.length === 0 ? ["The schema is current."] : applied.map((name) => `Applied ${name}.`)));
      return EXIT.ok;
    }),
  );
}
