import type { ClientClock } from "./clock.ts";
import type { Journal } from "./journal.ts";
import type { Usage } from "./types.ts";

export interface MeterOptions {
  /** Where Weir is: `https://weir.example:8787`. */
  url: string;
  /** A key of scope `data_plane`, or of one account. */
  key: string;
  /** Names this process in Weir's leases; made up when left out. */
  holder?: string;
  /** What an operation counts, so that one that is named is decided in memory too. */
  operations?: Readonly<Record<string, Usage>>;
  /** How often what was spent is settled: what a killed process without a journal does not count, at most. */
  heartbeatMs?: number;
  /** How long a lease may be spent without an answer of Weir's, seconds (1–60): as long, a lowered cap is not in force here. */
  ttlSeconds?: number;
  /** How long one request may take. */
  timeoutMs?: number;
  /** Requests under way at once; beyond it a check is `WeirUnavailable`. */
  requestsMax?: number;
  /** Accounts remembered at once; further ones are decided by Weir. */
  accountsMax?: number;
  /** Checks of one account within a second after which it gets a lease. */
  leaseAfter?: number;
  /** Keeps what is spent where a kill cannot take it along: of every check before it is answered (a few microseconds), or of heartbeats. */
  journal?: { journal: Journal; every: "check" | "heartbeat" };
  clock?: ClientClock;
  fetch?: typeof globalThis.fetch;
}

export const DEFAULTS = {
  heartbeatMs: 1_000,
  timeoutMs: 1_000,
  requestsMax: 1_000,
  accountsMax: 250_000,
  leaseAfter: 2,
} as const;
