import type { Period } from "../kernel/window.ts";

/** One limit that refused. `resetsAt` and `period` are null, and `retryable` false, where waiting does not help. */
export interface Denial {
  code: "limit_exceeded" | "credits_exhausted" | "payload_too_large";
  meter: string | null;
  scope: "account" | "object" | "request";
  source: "plan" | "cap" | "ceiling";
  period: Period | null;
  limit: number;
  used: number;
  reserved: number;
  requested: number;
  resetsAt: string | null;
  retryable: boolean;
  message: string;
  remedy: string;
}

/** A meter after the decision, at its binding limit; `limit` and `remaining` are null where nothing limits. */
export interface MeterState {
  period: Period | null;
  used: number;
  reserved: number;
  limit: number | null;
  remaining: number | null;
  resetsAt: string | null;
}

export interface Decision {
  allowed: boolean;
  decisionId: string;
  reservation: { id: string; expiresAt: string } | null;
  denials: Denial[];
  meters: Record<string, MeterState>;
  /** By how many bytes the object would have shrunk below 0: it stands at 0 instead. Left out where it would not. */
  clampedBytes?: number;
  /** Allowed without being checked, while Redis was away, since every meter's failure policy says so. */
  degraded?: true;
}
