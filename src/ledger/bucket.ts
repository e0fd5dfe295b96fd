/** One source's total for one bucket, as it is booked. */
export interface BucketTotal {
  account: string;
  /** Epoch ms. */
  bucket: number;
  meter: string;
  service: string;
  namespace: string;
  /** The account's life in Redis the usage was counted in. */
  epoch: number;
  /** The process that acknowledged it. */
  source: string;
  quantity: number;
}

/** The size of one object after its change number `seq` of `epoch`. */
export interface ObjectLevel {
  account: string;
  meter: string;
  service: string;
  namespace: string;
  object: string;
  bytes: number;
  epoch: number;
  seq: number;
  /** Epoch ms. */
  at: number;
}

/** One bucket of an account's gauge, as it stood after change number `seq` of `epoch`. Times in epoch ms. */
export interface GaugeBucket {
  account: string;
  meter: string;
  bucket: number;
  epoch: number;
  from: number;
  until: number;
  /** Integral of the level over `[from, until)`. */
  byteMilliseconds: bigint;
  /** The level it was left at. */
  level: number;
  seq: number;
}

/** An answered idempotency key: 128 bits of its hash, and the answer as check.lua keeps it. */
export interface AnsweredKey {
  account: string;
  keyHash: Buffer;
  answer: Buffer;
  /** Epoch ms. */
  at: number;
}
