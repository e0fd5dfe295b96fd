/** Tables with a row an object; schema.ts has the others. */
import type { ColumnType } from "kysely";

type Timestamp = ColumnType<Date, Date | string, Date | string>;

/** What is known of single objects; a part of `schema.ts`. */
export interface ObjectTables {
  object_levels: {
    account: string;
    meter: string;
    service: string;
    namespace: string;
    object: string;
    bytes: bigint;
    epoch: bigint;
    seq: bigint;
    updated_at: Timestamp;
  };
  object_request_batches: {
    source: string;
    batch: bigint;
    booked_at: Timestamp;
  };
  object_requests: {
    account: string;
    service: string;
    namespace: string;
    object: string;
    month_start: Timestamp;
    requests: bigint;
  };
}
