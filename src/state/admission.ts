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
  | "namespace-delete";

/** Resolves when the operation is allowed and counted; throws a `WeirError` when it is denied or nothing could be decided. */
export type Admit = (request: AdmissionRequest, now: number) => Promise<void>;

/** What an operation counts by the catalogue in force. */
export type UsageOf = (operation: StateOperation, facts?: { rows?: number; hit?: boolean }) => Record<string, number>;
