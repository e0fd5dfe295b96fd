/** What the API answers, as far as the dashboard reads it. For the type checker only: this file is not served. */

export type Period = "day" | "month";
export type LimitState = "ok" | "warning" | "exceeded";
export type Scope = "admin" | "data_plane" | "account" | "read_only";

export interface Session {
  scope: Scope;
  account: string | null;
}

export interface MeterStanding {
  meter: string;
  unit: string;
  kind: "counter" | "gauge";
  period: Period | null;
  used: number;
  reserved: number;
  limit: number | null;
  remaining: number | null;
  percent: number | null;
  state: LimitState;
  source: "plan" | "cap" | null;
  resetsAt: string | null;
  projectedExhaustionAt: string | null;
  stranded: number;
}

export interface Cap {
  meter: string;
  period: Period;
  capValue: number;
  hardStop: boolean;
  notifyAtPercent: number;
  used: number;
  reserved: number;
  remaining: number | null;
  percent: number | null;
  state: LimitState;
  resetsAt: string;
  updatedAt: string;
}

export interface EstimateLine {
  product: string;
  meter: string;
  currentMonthUsed: number;
  includedPerMonth: number | null;
  billableAmount: number;
  usageUnit: string;
  billingUnit: string;
  billingUnitSize: number;
  priceUsdMicrosPerBillingUnit: number | null;
  rounding: "prorated_to_micro_usd" | "next_billing_unit";
  estimatedUsdMicros: number;
  estimateBasis: string;
}

export interface Estimate {
  plan: string;
  paidOveragesEnabled: boolean;
  subscriptionUsdMicrosPerMonth: number;
  currentMonthOverageUsdMicros: number;
  creditsAppliedUsdMicros: number;
  estimatedMonthlyTotalUsdMicros: number;
  lineItems: EstimateLine[];
  nextActions: string[];
}

export interface Usage {
  account: string;
  plan: string;
  asOf: string;
  windows: Record<Period, { start: string; end: string }>;
  usage: { meters: Record<Period, Record<string, number>> };
  meters: MeterStanding[];
  usageCaps: Cap[];
  billingEstimate: Estimate;
}

export interface Denial {
  code: string;
  meter: string | null;
  scope: string;
  source: string;
  period: Period | null;
  limit: number;
  used: number;
  reserved: number;
  requested: number;
  resetsAt: string | null;
  retryable: boolean;
  message: string;
  remedy: string;
}

export interface RecentDenial {
  at: string;
  count: number;
  service: string | null;
  namespace: string | null;
  object: string | null;
  operation: string | null;
  denials: Denial[];
}

export interface Problem {
  code: string;
  status: number;
  message: string;
  errors?: { path: string; message: string }[];
  denials?: Denial[];
  /** Seconds, of the header Retry-After. */
  retryAfter?: number;
}

export interface MeterDetail {
  name: string;
  unit: string;
  kind: "counter" | "gauge";
  description: string;
}

export interface Plan {
  key: string;
  name: string;
  subscriptionUsdMicrosPerMonth: number;
  paidOverages: boolean;
  limits: Record<string, number | null>;
}

export interface Pricing {
  currency: string;
  plans: Plan[];
  products: { key: string; name: string; summary: string; meters: string[]; meter_details: MeterDetail[] }[];
}

export interface Namespace {
  id: string;
  name: string;
  service: string;
  createdAt: string;
  storageBytes: number;
}

export interface StoredObject {
  objectKey: string;
  storageBytes: number;
  createdAt: string;
  lastSeenAt: string;
}

export interface Entry {
  key: string;
  valueSizeBytes: number;
  createdAt: string;
  updatedAt: string;
}

export interface StoredValue {
  namespace: string;
  object: string;
  entry: Entry;
  valueText: string | null;
  valueBase64: string;
}

export interface Notification {
  id: string;
  type: string;
  createdAt: string;
  data: Record<string, unknown>;
}

export interface Webhook {
  id: string;
  url: string;
  events: string[];
  description: string | null;
  status: "enabled" | "disabled";
  disabledReason: string | null;
  firstFailureAt: string | null;
  createdAt: string;
  secret?: string;
}

export interface Delivery {
  id: string;
  messageId: string;
  type: string;
  status: "pending" | "delivered" | "failed";
  createdAt: string;
  nextAttemptAt: string | null;
  attemptCount: number;
  attempts: {
    number: number;
    at: string;
    latencyMs: number | null;
    statusCode: number | null;
    error: string | null;
    answer: string | null;
  }[];
  payload?: string;
}

export interface Finding {
  check: string;
  state: "ok" | "warning" | "failed";
  found: string;
  remedy: string | null;
}

export interface AccountEntry {
  account: string;
  name: string | null;
  plan: string;
}

export interface AlarmState {
  scheduledAt: string | null;
  nextAttemptAt: string | null;
  retryCount: number;
  lastError: string | null;
}

export interface InvoiceLine {
  kind: string;
  meter?: string;
  description: string;
  period: { start: string; end: string };
  quantity: number | string;
  included: number | string;
  amountUsdMicros: number;
  tiers?: { from: number | string; units: number | string; priceUsdMicros: string; amountUsdMicros: number }[];
  explain: { text: string };
}

export interface Invoice {
  id: string;
  number: number | null;
  state: string;
  period: { start: string; end: string };
  lines: InvoiceLine[];
  totalUsdMicros: number;
}

export interface Simulated {
  lines: InvoiceLine[];
  totalUsdMicros: number;
  actualUsdMicros: number;
}

export interface PlanDocument {
  key: string;
  name: string;
  subscriptionUsdMicrosPerMonth: number;
  charges: Record<string, unknown>;
}

export interface Standing {
  account: string;
  plan: string;
  meter: string;
  unit: string;
  period: Period | null;
  used: number;
  reserved: number;
  limit: number;
  state: LimitState;
  source: "plan" | "cap";
  hardStop: boolean;
  resetsAt: string | null;
}

export interface CatalogEntry {
  version: number;
  appliedAt: string;
}

export interface CatalogChange {
  kind: "added" | "removed" | "changed";
  path: string;
  text: string;
}
