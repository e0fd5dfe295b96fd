/** The rows of prepaid credits; schema.ts has the others. */
import type { ColumnType, GeneratedAlways } from "kysely";

type Timestamp = ColumnType<Date, Date | string, Date | string>;

export interface CreditTables {
  credit_burns: {
    account: string;
    seq: GeneratedAlways<bigint>;
    credit_grant: string;
    invoice: string;
    amount: bigint;
    at: Timestamp;
  };
  credit_grants: {
    account: string;
    id: string;
    seq: GeneratedAlways<bigint>;
    name: string;
    kind: string;
    currency: string;
    amount: bigint;
    priority: number;
    effective_at: Timestamp;
    expires_at: Timestamp | null;
    cost_basis: string;
    idempotency_key: string;
    request: string;
    made_by: string;
    created_at: Timestamp;
    voided_at: Timestamp | null;
  };
  credit_limits: {
    account: string;
    month_start: Timestamp;
    plan: string;
    quantities: ColumnType<unknown, string, string>;
  };
  credit_standings: {
    account: string;
    level: number;
    round: bigint;
  };
}
