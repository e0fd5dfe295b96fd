import type { Clock } from "../kernel/clock.ts";
import type { DispatcherOptions } from "../notifications/dispatcher.ts";
import type { PaymentOptions } from "../payments/open-adapter.ts";
import type { Retention } from "../ledger/upkeep.ts";
import type { RedisAddress } from "../stores/redis-servers.ts";

export interface DatabaseWays {
  /** A pooler in transaction mode; null for none. */
  pooledUrl: string | null;
  /** A replica, for what only reads; null for none. */
  readUrl: string | null;
}

/** What an engine is made of. */
export interface EngineOptions {
  databaseUrl: string;
  /** Other ways to the same database. */
  database?: DatabaseWays;
  redisUrl: RedisAddress;
  clock: Clock;
  /** How long a silent Redis is waited for, milliseconds; 200 unless told. */
  redisTimeoutMs?: number;
  /** Separates deployments that share a Redis. */
  redisPrefix?: string;
  /** Accounts whose plain checks are spread over several slots of a Redis Cluster → over how many; the same in every process. */
  hotAccounts?: ReadonlyMap<string, number>;
  /** Where webhooks may go, and how mail is sent; by default only to public addresses, and no mail. */
  outbox?: DispatcherOptions;
  /** How long an invoice stays a draft after its month's end, hours; 24 unless told. */
  invoiceGraceHours?: number;
  /** After how long hours of usage are summed by day, and let go; never unless told. */
  retention?: Retention;
  /** Who collects what is billed; nobody unless told. */
  payments?: PaymentOptions | null;
  /** False for a process that has more to do before it can answer calls, and joins then (`Engine.join`); true unless told. */
  joins?: boolean;
  /** Told of faults in the background: nobody else is there to hear of them. */
  onTrouble?: (error: unknown) => void;
}
