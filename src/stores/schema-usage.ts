/** The ledger's rows of usage; schema.ts has the others. */
import type { ColumnType } from "kysely";

type Timestamp = ColumnType<Date, Date | string, Date | string>;

/** What sources counted, and which months of it are kept no more; a part of `schema.ts`. */
export interface UsageTables {
  usage_buckets: {
    account: string;
    bucket: Timestamp;
    meter: string;
    service: string;
    namespace: string;
    epoch: bigint;
    source: string;
    quantity: bigint;
  };
  usage_set_aside: {
    account: string;
    bucket: Timestamp;
    meter: string;
    service: string;
    namespace: string;
    epoch: bigint;
    source: string;
    quantity: bigint;
  };
  retired_months: {
    month: Timestamp;
    ends_at: Timestamp;
    partition: string;
    retired_at: Timestamp;
    detached_at: Timestamp | null;
  };
}
