import { isRecord } from "../json.ts";
import type { Sizes } from "../tally.ts";

const QUERY_TIMEOUT_MS = 10_000;
/** Keys of one object whose sizes are journaled; a larger object is metered as if nobody had measured it. */
const KEYS_MEASURED_MAX = 1_000;

/** Rows of one statement on Restate's own tables, by its admin API. */
export async function query(adminUrl: string, statement: string): Promise<Record<string, unknown>[]> {
  const response = await fetch(`${adminUrl}/query`, {
    method: "POST",
    headers: { "content-type": "application/json", accept: "application/json" },
    body: JSON.stringify({ query: statement }),
    signal: AbortSignal.timeout(QUERY_TIMEOUT_MS),
  });
  if (!response.ok) throw new Error(`Restate's admin API answers ${response.status} to a query.`);
  const { rows } = (await response.json()) as { rows: unknown[] };
  return rows.filter(isRecord);
}

/** The bytes of each key of one object (key and value), null where they are too many to journal. */
export async function measureObject(adminUrl: string, service: string, key: string): Promise<Sizes> {
  const rows = await query(
    adminUrl,
    `SELECT key, key_length + value_length AS bytes FROM state
     WHERE service_name = ${text(service)} AND service_key = ${text(key)} LIMIT ${KEYS_MEASURED_MAX + 1}`,
  );
  return rows.length > KEYS_MEASURED_MAX ? null : rows.map((row) => [String(row["key"]), Number(row["bytes"])]);
}

/** A literal of the query language, which knows no escape but the doubled quote. */
export const text = (value: string): string => `'${value.replaceAll("'", "''")}'`;
