import { readFileSync } from "node:fs";
import postgres from "postgres";

/** sql/roles.sql: the users of a deployment, each with no more than it needs. */
export const rolesText = (): string => readFileSync(new URL("../../sql/roles.sql", import.meta.url), "utf8");

/** Makes the roles in a database, as an administrator of its server. May run again. */
export async function makeRoles(databaseUrl: string): Promise<void> {
  const sql = postgres(databaseUrl, { max: 1, connect_timeout: 10, onnotice: () => {} });
  try {
    await sql.unsafe(rolesText()).simple();
  } finally {
    await sql.end({ timeout: 5 });
  }
}
