import type { Command } from "commander";
import { readConfig } from "../../config.ts";
import { makeRoles, rolesText } from "../../stores/roles.ts";
import { action, show } from "../context.ts";
import { EXIT } from "../exit.ts";
import { usageError } from "../failure.ts";

/** The users of a deployment's Postgres. Talks to Postgres itself: the API's own user may not make users. */
export function register(command: Command): void {
  command.option("--apply", "make them, in the database that DATABASE_URL names, as an administrator of its server").action(
    action<{ apply?: boolean }>(async (context, _args, { apply }) => {
      const text = rolesText();
      if (apply === true) await makeRoles(databaseUrl());
      show(context, { applied: apply === true, sql: text }, () =>
        apply === true ? ["The roles are there. Give each a password: alter role weir_api password '…'."] : [text.trimEnd()],
      );
      return EXIT.ok;
    }),
  );
}

/** Where Postgres is, for commands that talk to it themselves. */
export function databaseUrl(): string {
  const { databaseUrl: url } = readConfig(process.env);
  if (url === null) throw usageError("DATABASE_URL names no database.", "Set it to the database that Weir is to use.");
  return url;
}
