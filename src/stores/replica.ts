import { monotonicMs, sleep } from "../kernel/clock.ts";
import { isAway } from "./away.ts";
import type { Run } from "./postgres-dialect.ts";

/** How long a replica may take to say how far it is. */
const ANSWER_MS = 500;
/** One that was away, or took longer, is not asked for so long. */
const REST_MS = 5_000;
/** What was written a moment ago is on its way: a replica that has not got it yet is asked again, so often and after such a pause. */
const ASKS_MAX = 5;
const PAUSE_MS = 5;
/** What a replica ends because the primary has cleaned up what it reads. */
const OVERTAKEN = "40001";

const POSITION = "select pg_current_wal_lsn()::text as position, extract(epoch from pg_postmaster_start_time())::text as since";
/** What follows nobody is the primary itself, by another way; or a replica that was promoted and goes ways of its own: that started at another time. */
const REACHED =
  "select case when pg_is_in_recovery() then pg_last_wal_replay_lsn() >= $1::pg_lsn " +
  "else extract(epoch from pg_postmaster_start_time())::text = $2::text end as reached";

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
    const asked = this.#ask([row?.["position"], row?.["since"]], timer.signal).catch(() => null);
    const reached = await Promise.race([asked, late]).finally(() => timer.abort());
    if (reached === null) this.#rest();
    return reached === true;
  }

  async #ask(position: unknown[], given: AbortSignal): Promise<boolean> {
    for (let asks = 1; ; asks += 1) {
      const [answer] = await this.#ways.replicaHouse(REACHED, position);
      if (answer?.["reached"] === true || asks === ASKS_MAX || given.aborted) return answer?.["reached"] === true;
      await sleep(PAUSE_MS, given);
    }
  }

  #rest(): void {
    this.#restsUntil = this.#now() + REST_MS;
  }
}
