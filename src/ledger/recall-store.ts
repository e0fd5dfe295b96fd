import { sql } from "kysely";
import { reachPostgres, type Db } from "../stores/database.ts";

/** A source that was silent for this long has crashed (or is paused, which looks the same): nobody waits for it. */
const SILENT_MS = 5_000;

/** Says that the source lives, and that it has answered recalls up to `heard`. */
export async function reportSource(db: Db, source: string, heard: number): Promise<void> {
  await reachPostgres(
    sql`insert into sources as s (source, seen_at, heard) values (${source}, clock_timestamp(), ${heard})
        on conflict (source) do update set seen_at = excluded.seen_at, heard = greatest(s.heard, excluded.heard)`.execute(db),
  );
}

/** Takes the source out, and with it those that have been silent for a day. */
export async function removeSource(db: Db, source: string): Promise<void> {
  await reachPostgres(sql`delete from sources where source = ${source} or seen_at < clock_timestamp() - interval '1 day'`.execute(db));
}

/** The latest recall. */
export async function lastRecall(db: Db): Promise<number> {
  const { rows } = await reachPostgres(sql<{ seq: bigint }>`select seq from recalls`.execute(db));
  return Number(rows[0]?.seq ?? 0);
}

/** Calls on every source to book what it holds. Answers the recall's number. */
export async function startRecall(db: Db): Promise<number> {
  const { rows } = await reachPostgres(sql<{ seq: bigint }>`update recalls set seq = seq + 1 returning seq`.execute(db));
  return Number(rows[0]?.seq ?? 0);
}

/** Sources other than `self` that live and have not answered the recall yet. */
export async function unheardSources(db: Db, self: string, seq: number): Promise<number> {
  const { rows } = await reachPostgres(
    sql<{ waiting: bigint }>`
      select count(*) as waiting from sources
      where source <> ${self} and heard < ${seq} and seen_at > clock_timestamp() - make_interval(secs => ${SILENT_MS / 1000})`.execute(db),
  );
  return Number(rows[0]?.waiting ?? 0);
}
