import { sql } from "kysely";
import { iso, type Period } from "../kernel/window.ts";
import { reachPostgres, type Db } from "../stores/database.ts";

/** Starts the account's next life in Redis; null when its limits have changed since `limitsVersion` was read. */
export async function openEpoch(db: Db, account: string, limitsVersion: number, now: number): Promise<number | null> {
  const { rows } = await reachPostgres(
    sql<{ epoch: bigint | null }>`select weir_open_epoch(${account}, ${limitsVersion}, ${iso(now)}) as epoch`.execute(db),
  );
  const epoch = rows[0]?.epoch ?? null;
  return epoch === null ? null : Number(epoch);
}

/** The same for the life that goes on with what life `after` held: null too when another has been opened since. */
export async function openNextEpoch(db: Db, account: string, after: number, limitsVersion: number, now: number): Promise<number | null> {
  const { rows } = await reachPostgres(
    sql<{ epoch: bigint }>`
      update accounts set epoch = last_epoch + 1, last_epoch = last_epoch + 1, updated_at = greatest(updated_at, ${iso(now)}::timestamptz)
      where account = ${account} and limits_version = ${limitsVersion} and epoch = ${after}
      returning epoch`.execute(db),
  );
  const epoch = rows[0]?.epoch;
  return epoch === undefined ? null : Number(epoch);
}

/** Hands back an epoch that was opened but never installed, so that the present one stays the account's epoch. */
export async function yieldEpoch(db: Db, account: string, unused: number, present: number): Promise<void> {
  await reachPostgres(
    db
      .updateTable("accounts")
      .set({ epoch: BigInt(present) })
      .where("account", "=", account)
      .where("epoch", "=", BigInt(unused))
      .execute(),
  );
}

/** Where an epoch stands that Redis lives in and Postgres grants nothing. */
export type Standing = "present" | "unlived" | "outlived";

/**
 * Makes an epoch that lives in Redis the account's present one again, where another was opened after it and never took its place: its
 * opener was killed, or did not hear Redis' answer. Changes nothing where the epoch was never granted anything (`unlived`: it may have
 * been installed late, over a loss), or where it is sealed or a later one has lived (`outlived`): then the account is to be opened anew.
 */
export async function reinstateEpoch(db: Db, account: string, epoch: number): Promise<Standing> {
  const { rows } = await reachPostgres(
    sql<{ standing: Standing }>`
      with facts as (
        select a.account, a.epoch = ${epoch} as present,
          exists (select from grants g where g.account = a.account and g.epoch = ${epoch}) as lived,
          exists (select from grants g where g.account = a.account
                  and (g.epoch > ${epoch} or (g.epoch = ${epoch} and g.sealed_at is not null))) as outlived
        from accounts a where a.account = ${account}
      ), moved as (
        update accounts a set epoch = ${epoch}, foreign_seq = a.foreign_seq + 1
        from facts f where a.account = f.account and not f.present and f.lived and not f.outlived
      )
      select case when present or (lived and not outlived) then 'present' when outlived then 'outlived' else 'unlived' end as standing
      from facts`.execute(db),
  );
  return rows[0]?.standing ?? "present";
}

/** Starts the account's next life in place of one that was granted nothing; null when it was after all, or the limits have changed. */
export async function replaceUnlived(db: Db, account: string, unlived: number, limitsVersion: number, now: number): Promise<number | null> {
  const { rows } = await reachPostgres(
    sql<{ epoch: bigint | null }>`select weir_replace_unlived(${account}, ${unlived}, ${limitsVersion}, ${iso(now)}) as epoch`.execute(db),
  );
  const epoch = rows[0]?.epoch ?? null;
  return epoch === null ? null : Number(epoch);
}

/** The account's present epoch, as Postgres has it; 0 before its first. */
export async function presentEpoch(db: Db, account: string): Promise<number> {
  const row = await reachPostgres(db.selectFrom("accounts").select("epoch").where("account", "=", account).executeTakeFirst());
  return Number(row?.epoch ?? 0);
}

/** Frees what an epoch was granted and did not spend. Only for an epoch that can spend no more and is booked to the last unit. */
export async function sealEpoch(db: Db, account: string, epoch: number, now: number): Promise<void> {
  await reachPostgres(
    sql`
      with sealed as (
        update grants set sealed_at = ${iso(now)}::timestamptz where account = ${account} and epoch = ${epoch} and sealed_at is null
      )
      -- A level that was granted and not reached is free again too: of 50 MB more at each restart nobody could store anything in the end.
      update level_grants g
      set top = least(g.top, (select coalesce(sum(o.bytes), 0) from object_levels o where o.account = g.account and o.meter = g.meter))
      where g.account = ${account} and g.epoch = ${epoch}`.execute(db),
  );
}

/** A limit that budget is asked for. */
export interface Want {
  meter: string;
  period: Period;
  window: { start: number; end: number };
  limit: number;
  want: number;
}

export interface Granted {
  meter: string;
  period: Period;
  /** All that this epoch was granted of the limit so far. */
  granted: number;
  /** Nothing is left of the limit. */
  exhausted: boolean;
}

/** Grants budget of hard limits to an epoch, durably. Empty when the epoch or the limits are no longer the present ones. */
export async function grant(db: Db, account: string, epoch: number, limitsVersion: number, wants: readonly Want[]): Promise<Granted[]> {
  const { rows } = await reachPostgres(
    sql<{ meter: string; period: Period; granted: bigint; exhausted: boolean }>`
      select * from weir_grant(${account}, ${epoch}, ${limitsVersion},
        ${wants.map((w) => w.meter)}::text[], ${wants.map((w) => w.period)}::text[],
        ${wants.map((w) => iso(w.window.start))}::timestamptz[], ${wants.map((w) => iso(w.window.end))}::timestamptz[],
        ${wants.map((w) => String(w.limit))}::bigint[], ${wants.map((w) => String(w.want))}::bigint[])`.execute(db),
  );
  return rows.map((row) => ({ ...row, granted: Number(row.granted) }));
}

/** Grants a gauge's level to an epoch, durably; null when the epoch or the limits are no longer the present ones. */
export async function grantLevel(
  db: Db,
  account: string,
  epoch: number,
  limitsVersion: number,
  meter: string,
  limit: number,
  want: number,
): Promise<{ top: number; exhausted: boolean } | null> {
  const { rows } = await reachPostgres(
    sql<{
      top: bigint;
      exhausted: boolean;
    }>`select * from weir_grant_level(${account}, ${epoch}, ${limitsVersion}, ${meter}, ${limit}, ${want})`.execute(db),
  );
  const row = rows[0];
  return row ? { top: Number(row.top), exhausted: row.exhausted } : null;
}
