import type { OperationFacts } from "../catalog/operation.ts";

/** What the data plane asks before it answers or writes: a check of the gate, in consume mode unless it says peek. */
export interface AdmissionRequest {
  account: string;
  service: string;
  namespace?: string;
  object?: string;
  operation: StateOperation;
  /** Counters to count, by meter. */
  usage: Record<string, number>;
  /** The object's measured size after the operation, bytes. */
  storageBytes?: { set: number };
  /** Key + value, bytes of UTF-8. */
  payloadBytes?: number;
  mode?: "consume" | "peek";
}

/** The operations of the catalogue that the data plane performs. */
export type StateOperation =
  | "put"
  | "get"
  | "delete-value"
  | "keys"
  | "objects"
  | "namespace-list"
  | "namespace-create"
  | "namespace-delete"
  | "alarm-set"
  | "alarm-get"
  | "alarm-delete"
  | "alarm-delivery"
  | "websocket-open"
  | "websocket-message"
  | "duration";

/** Resolves when the operation is allowed and counted; throws a `WeirError` when it is denied or nothing could be decided. */
export type Admit = (request: AdmissionRequest, now: number) => Promise<void>;

/** What an operation counts by the catalogue in force. */
export type UsageOf = (operation: StateOperation, facts?: OperationFacts) => Record<string, number>;

/** Quantities that are held before they are spent, so that what takes time cannot pass a limit while it lasts. */
export interface Holds {
  /** Holds the request's usage for `ttlSeconds` and answers the hold's id; throws what `Admit` throws. */
  hold: (request: AdmissionRequest, ttlSeconds: number, now: number) => Promise<string>;
  /** Counts what was spent of a hold and gives the rest back. Idempotent. Throws `reservation_expired` when it came too late. */
  settle: (hold: string, usage: Record<string, number>, now: number) => Promise<void>;
}
