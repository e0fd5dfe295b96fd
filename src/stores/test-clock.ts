import { sql } from "kysely";
import { SettableClock } from "../kernel/clock.ts";
import { iso } from "../kernel/window.ts";
import { openPostgres, reachPostgres, type Postgres } from "./database.ts";

/** The clock of a deployment for tests. Set once, it stands there after a restart too: what was written at that time is not of the future then. */
export class TestClock {
  readonly clock: SettableClock;
  readonly #postgres: Postgres;

  private constructor(postgres: Postgres, clock: SettableClock) {
    this.#postgres = postgres;
    this.clock = clock;
  }

  /** Of a database that is migrated. Throws `unavailable`. */
  static async open(databaseUrl: string): Promise<TestClock> {
    const postgres = openPostgres(databaseUrl, { poolSize: 1 });
    try {
      const row = await reachPostgres(postgres.db.selectFrom("test_clock").select("stands").executeTakeFirst());
      return new TestClock(postgres, new SettableClock(row?.stands.getTime() ?? null));
    } catch (error) {
      await postgres.close();
      throw error;
    }
  }

  now(): number {
    return this.clock.now();
  }

  /** Stands the clock at `epochMs`. False, changing nothing, when that lies in the past. Throws `unavailable`. */
  async set(epochMs: number): Promise<boolean> {
    if (epochMs < this.now()) return false;
    const at = iso(epochMs);
    await reachPostgres(
      sql`insert into test_clock as t (stands) values (${at}::timestamptz)
          on conflict (only_row) do update set stands = greatest(t.stands, excluded.stands)`.execute(this.#postgres.db),
    );
    return this.clock.set(epochMs);
  }

  close(): Promise<void> {
    return this.#postgres.close();
  }
}
