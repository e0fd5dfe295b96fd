/**
 * The rows of sql/migrations as the driver hands them over: bigint for int8, Date for timestamptz, string for numeric.
 * test/integration/stores/schema.test.ts holds this file against a migrated database, column by column.
 */
import type { ColumnType, GeneratedAlways } from "kysely";
import type { CreditTables } from "./schema-credits.ts";
import type { GuardTables } from "./schema-guards.ts";
import type { ObjectTables } from "./schema-objects.ts";
import type { PaymentTables } from "./schema-payments.ts";
import type { UsageTables } from "./schema-usage.ts";

type Timestamp = ColumnType<Date, Date | string, Date | string>;
/** A column that has a default: it may be left out when a row is made. */
type Defaulted<T> = ColumnType<T, T | undefined, T>;

export interface Database extends CreditTables, GuardTables, ObjectTables, PaymentTables, UsageTables {
  accounts: {
    account: string;
    name: string | null;
    email: string | null;
    billing_anchor_day: Defaulted<number>;
    timezone: Defaulted<string>;
    rate_alert: Defaulted<boolean>;
    limits_version: Defaulted<bigint>;
    epoch: Defaulted<bigint>;
    last_epoch: Defaulted<bigint>;
    foreign_seq: Defaulted<bigint>;
    summed_before: Defaulted<Timestamp>;
    created_at: Timestamp;
    updated_at: Timestamp;
  };
  api_keys: {
    id: string;
    account: string | null;
    scope: string;
    name: string | null;
    secret_hash: Buffer;
    last_four: string;
    created_at: Timestamp;
    expires_at: Timestamp | null;
    revoked_at: Timestamp | null;
    last_used_at: Timestamp | null;
    replaced_by: string | null;
  };
  billing_periods: {
    account: string;
    period_start: Timestamp;
    period_end: Timestamp;
    month_ms: bigint;
    closed_at: Timestamp | null;
  };
  billing_terms: {
    account: string;
    starts_at: Timestamp;
    terms: unknown;
    created_at: Timestamp;
  };
  caps: {
    account: string;
    meter: string;
    period: string;
    cap_value: bigint;
    hard_stop: boolean;
    notify_at_percent: number;
    updated_at: Timestamp;
  };
  catalog_versions: {
    version: GeneratedAlways<bigint>;
    document: ColumnType<unknown, string, string>;
    sha256: string;
    applied_at: Timestamp;
  };
  corrections: {
    account: string;
    number: bigint;
    meter: string;
    quantity: bigint;
    at: Timestamp;
    reason: string;
    idempotency_key: string;
    request: string;
    made_by: string;
    created_at: Timestamp;
  };
  credit_notes: {
    account: string;
    id: string;
    period_end: Timestamp;
    invoice: string;
    number: bigint;
    amount: bigint;
    reason: string;
    idempotency_key: string;
    made_by: string;
    created_at: Timestamp;
  };
  deliveries: {
    account: string;
    id: string;
    seq: GeneratedAlways<bigint>;
    webhook: string | null;
    recipient: string | null;
    message: string;
    type: string;
    body: Buffer;
    status: Defaulted<string>;
    next_attempt_at: Timestamp;
    lease: string | null;
    attempts: Defaulted<number>;
    failures: Defaulted<number>;
    created_at: Timestamp;
    finished_at: Timestamp | null;
  };
  delivery_attempts: {
    account: string;
    delivery: string;
    number: number;
    at: Timestamp;
    latency_ms: number | null;
    status_code: number | null;
    error: string | null;
    answer: string | null;
  };
  document_numbers: {
    series: string;
    number: bigint;
    account: string;
    document: string;
  };
  document_series: {
    series: string;
    last: bigint;
  };
  event_keys: {
    key: string;
    received_at: Timestamp;
  };
  gauge_buckets: {
    account: string;
    meter: string;
    bucket: Timestamp;
    epoch: bigint;
    from_at: Timestamp;
    until_at: Timestamp;
    byte_milliseconds: string;
    level: bigint;
    seq: bigint;
  };
  grants: {
    account: string;
    meter: string;
    period: string;
    window_start: Timestamp;
    epoch: bigint;
    granted: bigint;
    sealed_at: Timestamp | null;
    limit_value: bigint;
  };
  idempotency_keys: {
    account: string;
    key_hash: Buffer;
    answer: Buffer;
    answered_at: Timestamp;
  };
  leases: {
    account: string;
    lease: string;
    epoch: bigint;
    bucket: Timestamp;
    day_start: Timestamp;
    day_end: Timestamp;
    month_start: Timestamp;
    month_end: Timestamp;
    holder: string;
    request: string;
    ttl_ms: number;
    granted: unknown;
    version: bigint;
    seq: bigint;
    expires_at: Timestamp;
    created_at: Timestamp;
    closed_at: Timestamp | null;
    told_at: Timestamp | null;
  };
  invoices: {
    account: string;
    period_end: Timestamp;
    period_start: Timestamp;
    id: string;
    state: Defaulted<string>;
    number: bigint | null;
    currency: string;
    lines: ColumnType<unknown, string, never>;
    total: bigint;
    tax: bigint;
    credited: Defaulted<bigint>;
    carried: Defaulted<bigint>;
    drafted_at: Timestamp;
    finalized_at: Timestamp | null;
    paid_at: Timestamp | null;
    voided_at: Timestamp | null;
    payment: string | null;
  };
  level_grants: {
    account: string;
    meter: string;
    epoch: bigint;
    top: bigint;
    stranded: bigint;
  };
  notifications: {
    account: string;
    id: string;
    seq: GeneratedAlways<bigint>;
    dedupe_key: string;
    type: string;
    data: ColumnType<unknown, string, never>;
    created_at: Timestamp;
  };
  recalls: {
    only_row: Defaulted<boolean>;
    seq: bigint;
  };
  services: {
    account: string;
    service: string;
    worker_url: string | null;
    created_at: Timestamp;
  };
  test_clock: {
    only_row: Defaulted<boolean>;
    stands: Timestamp;
  };
  sources: {
    source: string;
    seen_at: Timestamp;
    heard: bigint;
  };
  state_alarms: {
    account: string;
    namespace: bigint;
    object: string;
    service: string;
    setting: string;
    scheduled_at: Timestamp;
    due_at: Timestamp | null;
    failures: Defaulted<number>;
    trouble: string | null;
    lease: string | null;
    leased_until: Timestamp | null;
  };
  state_namespaces: {
    account: string;
    number: bigint;
    service: string;
    name: string;
    created_at: Timestamp;
    deleted_at: Timestamp | null;
    secret: Buffer;
    previous_secret: Buffer | null;
    previous_secret_until: Timestamp | null;
  };
  parked_accounts: {
    account: string;
    reason: string;
    parked_at: Timestamp;
  };
  subscriptions: {
    account: string;
    starts_at: Timestamp;
    plan: string;
    created_at: Timestamp;
    trial_ends_at: Timestamp | null;
    catalog_version: bigint | null;
    used_before: ColumnType<unknown, string, never> | null;
  };
  webhooks: {
    account: string;
    id: string;
    url: string;
    events: string[];
    description: string | null;
    secret: Buffer;
    previous_secret: Buffer | null;
    previous_secret_until: Timestamp | null;
    first_failure_at: Timestamp | null;
    paused_until: Timestamp | null;
    disabled_at: Timestamp | null;
    disabled_reason: string | null;
    created_at: Timestamp;
  };
}
