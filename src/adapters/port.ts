/** The State meters of the catalogue that adapters count. */
export const METER = {
  requests: "state_requests",
  duration: "state_duration_gb_milliseconds",
  rowsRead: "state_sqlite_rows_read",
  rowsWritten: "state_sqlite_rows_written",
  storage: "state_sqlite_storage_bytes",
} as const;

/** Counters: meter → base quantity. */
export type Usage = Record<string, number>;

/** A change of an object's stored bytes, or its measured size. */
export type StorageBytes = { delta: number } | { set: number };

/** Whose object it is that a call is about. */
export interface Place {
  account: string;
  service?: string;
  namespace?: string;
  object?: string;
}

/** One operation, asked about before it is done. The key makes asking again, after a lost answer, the same question. */
export interface MeterRequest extends Place {
  usage: Usage;
  storageBytes?: StorageBytes;
  payloadBytes?: number;
  idempotencyKey: string;
}

/** What an adapter reads of a limit that refused. */
export interface Denial {
  code: "limit_exceeded" | "credits_exhausted" | "payload_too_large";
  meter: string | null;
  limit: number;
  used: number;
  reserved: number;
  resetsAt: string | null;
  message: string;
}

export interface Answer {
  allowed: boolean;
  denials: Denial[];
  /** Each meter after the decision, at its binding limit. */
  meters: Record<string, { resetsAt: string | null }>;
}

export interface Reserved extends Answer {
  reservation: { id: string; expiresAt: string } | null;
}

/** What really happened under a reservation. */
export interface Actual {
  usage: Usage;
  storageBytes?: StorageBytes;
}

/** Usage after the fact; (source, id) counts once. */
export interface UsageEvent extends Place, Actual {
  source: string;
  id: string;
}

export interface MeasuredObject {
  service: string;
  namespace: string;
  object: string;
  storageBytes: number;
}

/**
 * What an adapter asks of Weir. Every call may be repeated after a lost answer: it counts once. A refusal is an answer; each call throws a
 * `WeirError`: `unavailable` where nothing was decided, another code where the call itself is wrong.
 */
export interface MeterPort {
  /** Decides and counts, all meters or none. */
  check(request: MeterRequest): Promise<Answer>;
  /** Decides and holds for `ttlSeconds`. */
  reserve(request: MeterRequest, ttlSeconds: number): Promise<Reserved>;
  /** Counts what happened and gives back the rest. False where the reservation has expired: then nothing was counted. */
  settle(reservation: string, actual: Actual): Promise<boolean>;
  /** Gives back what was held. */
  release(reservation: string): Promise<void>;
  /** Counts what has happened, whatever the limits say. */
  record(events: readonly UsageEvent[]): Promise<void>;
  /** Tells measured sizes: they are the truth from now on. */
  recount(account: string, objects: readonly MeasuredObject[]): Promise<void>;
}
