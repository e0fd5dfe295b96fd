import { sql, type Selectable } from "kysely";
import { iso } from "../kernel/window.ts";
import { reachPostgres, type Db } from "../stores/database.ts";
import type { Database } from "../stores/schema.ts";
import { requestText, type Correction, type CorrectionRequest } from "./correction.ts";

type Row = Selectable<Database["corrections"]>;

/** Appends a correction, or finds the one its key made before. Null for an account that does not exist, and before `correctableFrom`. */
export async function appendCorrection(
  db: Db,
  account: string,
  request: CorrectionRequest,
  { at, madeBy, now }: { at: number; madeBy: string; now: number },
): Promise<{ correction: Correction; sameRequest: boolean } | null> {
  const text = requestText(request);
  const { rows } = await reachPostgres(
    sql<Row>`
      select * from weir_correct(${account}, ${request.meter}, ${request.quantity}::bigint, ${iso(at)}::timestamptz, ${request.reason},
        ${request.idempotencyKey}, ${text}, ${madeBy}, ${iso(now)}::timestamptz)`.execute(db),
  );
  const [row] = rows;
  return row ? { correction: toCorrection(row), sameRequest: row.request === text } : null;
}

/** At most `limit` corrections of an account below number `before` (null: from the newest), newest first. */
export async function listCorrections(db: Db, account: string, before: number | null, limit: number): Promise<Correction[]> {
  const query = db.selectFrom("corrections").selectAll().where("account", "=", account).orderBy("number", "desc").limit(limit);
  const rows = await reachPostgres((before === null ? query : query.where("number", "<", BigInt(before))).execute());
  return rows.map(toCorrection);
}

const ID_PREFIX = "correction_";

/** The number in a correction's id. */
export const correctionNumber = (id: string): number => Number(id.slice(ID_PREFIX.length));

const toCorrection = (row: Row): Correction => ({
  id: `${ID_PREFIX}${row.number}`,
  account: row.account,
  meter: row.meter,
  quantity: Number(row.quantity),
  at: row.at.getTime(),
  reason: row.reason,
  idempotencyKey: row.idempotency_key,
  madeBy: row.made_by,
  createdAt: row.created_at.getTime(),
});
