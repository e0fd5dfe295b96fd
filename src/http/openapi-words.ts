/** What the OpenAPI document says beside the routes' own schemas: groups, parameters that many routes share, statuses. */

/** Every group of routes, in the order in which they are shown. */
export const TAGS: readonly { name: string; description: string }[] = [
  { name: "check", description: "Ask before each write: decide and count, hold and settle." },
  { name: "events", description: "Report usage after the fact; an event counts once, however often it is sent." },
  { name: "leases", description: "Parts of a limit, lent to a process that then decides in memory." },
  { name: "usage", description: "What an account has used, now and over time." },
  { name: "caps", description: "Limits that an account sets itself, in force for the very next check." },
  { name: "state", description: "The reference data plane: namespaces, objects, keys, values, alarms; each call is metered." },
  { name: "services", description: "Where a service's alarms are delivered." },
  { name: "notifications", description: "What an account was told, such as thresholds that were reached." },
  { name: "webhooks", description: "Endpoints that are told, signed by the Standard Webhooks specification, and what was sent to them." },
  { name: "invoices", description: "What an account is billed; every line explains itself." },
  { name: "payments", description: "Where invoices stand with whoever collects the money, and what that tells." },
  { name: "credits", description: "Prepaid credits: what an account was granted, what is left of it, and what burned it." },
  { name: "pricing", description: "Plans, meters and prices; rating and simulation." },
  { name: "catalogue", description: "Meters, operations, plans and prices as versioned data." },
  { name: "accounts", description: "Accounts, their plans and their corrections (operator)." },
  { name: "keys", description: "API keys: an account's, and the operator's own." },
  { name: "audit", description: "Who did what to which account, chained so that no entry can be changed unseen (operator)." },
  { name: "operation", description: "Whether Weir is well, for whoever runs it." },
  { name: "session", description: "The dashboard's session: a key behind a cookie that no script can read." },
  { name: "test", description: "Setting the time; served with `WEIR_TEST_CLOCK=1` only (operator)." },
];

/** What parameters are that do not say so themselves, by name. */
export const PARAMETERS: Readonly<Record<string, string>> = {
  account: "The account, such as `acct_1`.",
  actor: "Only what was done with this key, by the key's id.",
  credit: "The grant's id.",
  cursor: "`nextCursor` of the page before.",
  deliveryId: "The delivery's id, as the list of deliveries has it.",
  format: "`csv` for CSV, as `Accept: text/csv` asks for.",
  from: "From when on, RFC 3339.",
  granularity: "How long a point of the series is.",
  groupBy: "Series apart by service, or by namespace.",
  id: "The id, as it was answered when it was made.",
  invoice: "The invoice's id.",
  key: "The key of the value, 1 to 512 characters, escaped as a part of a path.",
  limit: "How many at most, 1 to 1000; 100 unless told.",
  line: "The line's number, from 1 on.",
  meter: "The meter's name, such as `state_requests`.",
  namespace: "The namespace: its name, or `state_namespace_<n>`.",
  object: "The object, 1 to 512 characters, escaped as a part of a path.",
  order: "Newest first, or oldest first.",
  period: "The window: `day` or `month`.",
  provider: "Who collects the money: `manual` or `stripe`.",
  service: "The service, such as `service_1`.",
  sort: "By bytes stored, or by requests counted.",
  to: "Until when, RFC 3339; the instant itself is left out.",
  version: "The catalogue's version, from 1 on.",
};

/** What an answer means that does not say so itself, by status. */
export const STATUSES: Readonly<Record<string, string>> = {
  "101": "The connection is a WebSocket from here on.",
  "200": "Done.",
  "201": "Made.",
  "202": "Taken in; it is carried out from here on.",
  "503": "Not ready.",
};

/** Names the account where a key belongs to none. */
export const ACCOUNT_HEADER = {
  in: "header" as const,
  name: "Weir-Account",
  required: false,
  description:
    "The account this is about, for a key that belongs to no single one (`admin`, `data_plane`); an account's own key needs it not.",
  schema: { type: "string" as const, pattern: "^[A-Za-z0-9_.:-]{1,64}$" },
};
