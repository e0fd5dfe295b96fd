/** The rows of payments' hand-over; schema.ts has the others. */
import type { ColumnType } from "kysely";

type Timestamp = ColumnType<Date, Date | string, Date | string>;
type Defaulted<T> = ColumnType<T, T | undefined, T>;

export interface PaymentTables {
  payment_customers: {
    account: string;
    provider: string;
    customer: string;
    created_at: Timestamp;
  };
  payment_meter_events: {
    account: string;
    provider: string;
    meter: string;
    bucket: Timestamp;
    sent: Defaulted<bigint>;
    pending: bigint | null;
    unanswered_at: Timestamp | null;
    parked: Defaulted<boolean>;
    failures: Defaulted<number>;
    next_attempt_at: Timestamp;
    lease: string | null;
    error: string | null;
  };
  payment_hand_overs: {
    account: string;
    invoice: string;
    period_end: Timestamp;
    provider: string;
    state: Defaulted<string>;
    credited: bigint;
    external_id: string | null;
    attempts: Defaulted<number>;
    failures: Defaulted<number>;
    refusals: Defaulted<number>;
    next_attempt_at: Timestamp;
    lease: string | null;
    error: string | null;
    created_at: Timestamp;
    handed_over_at: Timestamp | null;
    settled_at: Timestamp | null;
  };
}
