/** One message for one endpoint, as its log shows it. */
export interface Delivery {
  id: string;
  /** The `webhook-id`: the same in every attempt, and for every endpoint the message goes to. */
  messageId: string;
  type: string;
  status: "pending" | "delivered" | "failed";
  createdAt: number;
  finishedAt: number | null;
  /** Null once it is finished. */
  nextAttemptAt: number | null;
  attemptCount: number;
  /** The latest ones, newest first. */
  attempts: Attempt[];
}

export interface Attempt {
  number: number;
  at: number;
  latencyMs: number | null;
  statusCode: number | null;
  /** Null for a success, and for an attempt that is under way or was cut short with its dispatcher. */
  error: string | null;
  /** The beginning of what the receiver answered. */
  answer: string | null;
}

/** A delivery that is in this dispatcher's hands until its lease ends. */
export interface Claimed {
  account: string;
  id: string;
  message: string;
  type: string;
  body: Buffer;
  createdAt: number;
  attempt: number;
  failures: number;
  lease: string;
}

export interface ClaimedWebhook extends Claimed {
  webhook: string;
  url: string;
  /** The newest first; two while a rotation lasts. */
  secrets: Buffer[];
}

export interface ClaimedMail extends Claimed {
  recipient: string;
}
