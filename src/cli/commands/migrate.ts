import type { Command } from "commander";
import { systemClock } from "../../kernel/clock.ts";
import { indexClosedMonths } from "../../ledger/closed-months.ts";
import { migrate } from "../../stores/migrate.ts";
import { action, show } from "../context.ts";
import { EXIT } from "../exit.ts";
import { databaseUrl } from "./roles.ts";

/**
 * Brings a database to this Weir's schema and indexes the ledger's months that are over, for deployments whose API may not make tables.
 * `weir start` and its jobs do the same where they may.
 */
export function register(command: Command): void {
  command.action(
    action(async (context) => {
      context.progress.say("migrating");
      const { applied } = await migrate(databaseUrl());
      context.progress.say("indexing months that are over");
      const indexed = await indexClosedMonths(databaseUrl(), systemClock.now());
      show(context, { applied, indexed }, () => [
        ...(applied.length === 0 ? ["The schema is current."] : applied.map((name) => `Applied ${name}.`)),
        ...indexed.map((partition) => `Indexed ${partition}, which is over.`),
      ]);
      return EXIT.ok;
    }),
  );
}
