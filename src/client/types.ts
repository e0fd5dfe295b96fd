/** What the SDK takes and answers. The words are those of Weir's HTTP API. */

export type Usage = Readonly<Record<string, number>>;

/** A value, or the promise of one: `await` takes both; a hot loop looks with `instanceof Promise` first. */
export type MaybePromise<T> = T | Promise<T>;

/** One operation to be decided before it writes. */
export interface CheckRequest {
  account: string;
  service?: string;
  namespace?: string;
  object?: string;
  /** Counters to count: meter → quantity. */
  usage?: Usage;
  /** Named instead of `usage`: decided in memory where `MeterOptions.operations` says what it counts. */
  operation?: string;
  /** A change of stored bytes, or the measured size. Ceilings are kept by Weir alone: always one request. */
  storageBytes?: { delta: number } | { set: number };
  /** Key and value together: always one request. */
  payloadBytes?: number;
  /** Counts once however often it is sent: always one request. */
  idempotencyKey?: string;
}

export interface Denial {
  code: "limit_exceeded" | "credits_exhausted" | "payload_too_large";
  meter: string | null;
  scope: "account" | "object" | "request";
  source: "plan" | "cap" | "ceiling";
  period: "day" | "month" | null;
  limit: number;
  used: number;
  reserved: number;
  requested: number;
  resetsAt: string | null;
  retryable: boolean;
  message: string;
  remedy: string;
}

export interface MeterState {
  period: "day" | "month" | null;
  used: number;
  reserved: number;
  limit: number | null;
  remaining: number | null;
  resetsAt: string | null;
}

export interface Decision {
  readonly allowed: boolean;
  /** Empty where it was decided in memory. */
  readonly decisionId: string;
  readonly denials: readonly Denial[];
  /** Each meter after it; empty where it was decided in memory. */
  readonly meters: Readonly<Record<string, MeterState>>;
}

/** Every decision made in memory is this one object: an allow costs no allocation. */
export const ALLOWED: Decision = Object.freeze({
  allowed: true,
  decisionId: "",
  denials: Object.freeze([]),
  meters: Object.freeze({}),
});

/** A lease as Weir answers it; quantities in all so far. */
export interface LeaseAnswer {
  leaseId: string;
  granted: Record<string, number>;
  used: Record<string, number>;
  expiresInMs: number;
  remaining: Record<string, number | null>;
  ended: boolean;
  recall: boolean;
  exceeded: boolean;
  closed: boolean;
}

/** What was spent of a lease in one service and namespace. */
export interface PlaceUsage {
  service?: string;
  namespace?: string;
  used: Record<string, number>;
}

export interface SettleBody {
  seq: number;
  used: Record<string, number>;
  places: PlaceUsage[];
  renew?: Record<string, number>;
  fair?: true;
  close?: true;
}
