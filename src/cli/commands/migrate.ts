import type { Command } from "commander";
import { readConfig } from "../../config.ts";
import { systemClock } from "../../kernel/clock.ts";
import { indexClosedMonths } from "../../ledger/closed-months.ts";
import { detachOldMonths } from "../../ledger/retired-months.ts";
import { migrate } from "../../stores/migrate.ts";
import { action, show } from "../context.ts";
import { EXIT } from "../exit.ts";
import { databaseUrl } from "./roles.ts";

/**
 * Brings a database to this Weir's schema, indexes the ledger's months that are over and detaches those that are not kept, for deployments whose
 * API may not make tables.
 * `weir start` and its jobs do the same where they may.
 */
export function register(command: Command): void {
  command.action(
    action(async (context) => {
      context.progress.say("migrating");
      const { applied } = await migrate(databaseUrl());
      context.progress.say("indexing months that are over");
      const indexed = await indexClosedMonths(databaseUrl(), systemClock.now());
      const { ledgerKeptMonths } = readConfig(process.env).retention;
      if (ledgerKeptMonths !== null) context.progress.say("detaching months that are not kept");
      const detached = ledgerKeptMonths === null ? [] : await detachOldMonths(databaseUrl(), ledgerKeptMonths, systemClock.now());
      show(context, { applied, indexed, detached }, () => [
        ...(applied.length === 0 ? ["The schema is current."] : applied.map((name) => `Applied ${name}.`)),
        ...indexed.map((partition) => `Indexed ${partition}, which is over.`),
        ...detached.map(
          (partition) => `Detached ${partition}, which is not kept (WEIR_LEDGER_KEPT_MONTHS): a table by itself from now on.`,
        ),
      ]);
      return EXIT.ok;
    }),
  );
}
