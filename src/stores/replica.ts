import { monotonicMs, sleep } from "../kernel/clock.ts";
import { isAway } from "./away.ts";
import type { Run } from "./postgres-dialect.ts";

/** How long a replica may take to say how far it is. */
const ANSWER_MS = 500;
/** One that was away, or took longer, is not asked for so long. */
const REST_MS = 5_000;
/** What a replica ends because the primary has cleaned up what it reads. */
const OVERTAKEN = "40001";

const POSITION = "select pg_current_wal_lsn()::text as position";
/** Of a database that follows nobody: it is the primary itself, by another way. */
const REACHED = "select not pg_is_in_recovery() or pg_last_wal_replay_lsn() >= $1::pg_lsn as reached";

export interface ReplicaWays {
  /** On whose behalf the present request is, at the replica and at the primary. */
  replica: Run;
  primary: Run;
  /** On nobody's behalf, to ask how far each is. */
  replicaHouse: Run;
  primaryHouse: Run;
}

/**
 * Sends statements that only read to a replica, as long as it has everything the primary had when they were asked for: nobody is shown less
 * than what was answered before. While it is behind, away or overtaken, the primary is asked. That sends a statement again, which
 * only reads.
 */
export class Replica {
  readonly #ways: ReplicaWays;
  readonly #now: () => number;
  #restsUntil = Number.NEGATIVE_INFINITY;

  constructor(ways: ReplicaWays, now: () => number = monotonicMs) {
    this.#ways = ways;
    this.#now = now;
  }

  readonly run: Run = async (sql, parameters) => {
    if (this.#now() < this.#restsUntil || !(await this.#hasReached())) return this.#ways.primary(sql, parameters);
    try {
      return await this.#ways.replica(sql, parameters);
    } catch (error) {
      if (isAway(error)) this.#rest();
      else if ((error as { code?: unknown }).code !== OVERTAKEN) throw error;
      return this.#ways.primary(sql, parameters);
    }
  };

  async #hasReached(): Promise<boolean> {
    const [row] = await this.#ways.primaryHouse(POSITION, []);
    const timer = new AbortController();
    const late = sleep(ANSWER_MS, timer.signal).then(() => null);
    const asked = this.#ways.replicaHouse(REACHED, [row?.["position"]]).then(
      ([answer]) => answer?.["reached"] === true,
      () => null,
    );
    const reached = await Promise.race([asked, late]).finally(() => timer.abort());
    if (reached === null) this.#rest();
    return reached === true;
  }

  #rest(): void {
    this.#restsUntil = this.#now() + REST_MS;
  }
}
