import { WeirError } from "../kernel/errors.ts";

// SQLSTATE classes that say "not now" rather than "not so": connection, password, database (gone, or closed to connections), resources,
// operator, lock and statement time limits.
const AWAY = /^(?:08|28|3D|53|57|55000|55P03|25P03|CONNECT|CONNECTION|ECONN|EPIPE|ETIMEDOUT|ENOTFOUND|EAI_AGAIN)/;

/** Whether an error of a call to Postgres says that it is absent, overloaded or hanging. */
export function isAway(error: unknown): boolean {
  if (error instanceof WeirError) return error.code === "unavailable";
  const code = (error as { code?: unknown }).code;
  return typeof code === "string" && AWAY.test(code);
}
