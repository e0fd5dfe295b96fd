/** The ledger's rows of usage; schema.ts has the others. */
import type { ColumnType } from "kysely";

type Timestamp = ColumnType<Date, Date | string, Date | string>;

/** What sources counted; a part of `schema.ts`. */
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
}
