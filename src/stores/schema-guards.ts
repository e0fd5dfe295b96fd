/** The audit log's rows, and those that say which tables are watched and walled; schema.ts has the others. */
import type { ColumnType, GeneratedAlways } from "kysely";

type Timestamp = ColumnType<Date, Date | string, Date | string>;
type Defaulted<T> = ColumnType<T, T | undefined, T>;

export interface GuardTables {
  audit_heads: {
    account: string;
    number: bigint;
    hash: Buffer;
  };
  audit_log: {
    account: string;
    number: bigint;
    seq: GeneratedAlways<bigint>;
    at: Timestamp;
    actor: string;
    scope: string;
    operation: string;
    action: string;
    target: string;
    detail: string;
    previous: Buffer;
    hash: Buffer;
  };
  audited_tables: {
    name: string;
    names: string;
    quiet: string;
    made_by_weir: Defaulted<boolean>;
  };
  walled_tables: {
    name: string;
    tenant: string;
  };
}
