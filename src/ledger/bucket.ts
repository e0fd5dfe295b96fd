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
