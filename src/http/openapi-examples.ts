const ACCOUNT = "acct_1";
const PLACE = { service: "service_1", namespace: "Room", object: "room-1" };

/** Bodies to begin with, by operation: each is taken as it stands once the account is there. */
export const REQUEST_EXAMPLES: Readonly<Record<string, unknown>> = {
  putAccountsByAccount: { name: "Ada's rooms", plan: "free", timezone: "Europe/Berlin" },
  postCheck: {
    account: ACCOUNT,
    ...PLACE,
    operation: "put",
    storageBytes: { delta: 1_200 },
    payloadBytes: 1_206,
    idempotencyKey: "put-17",
  },
  postChecks: {
    checks: [
      { account: ACCOUNT, ...PLACE, operation: "get" },
      { account: ACCOUNT, ...PLACE, usage: { state_requests: 1, state_sqlite_rows_written: 3 } },
    ],
  },
  postLeases: { account: ACCOUNT, meters: { state_requests: 1_000 }, holder: "worker-3", ttlSeconds: 5 },
  postEvents: {
    specversion: "1.0",
    id: "evt-17",
    source: "/gateway/eu-1",
    type: "weir.usage",
    subject: ACCOUNT,
    data: { ...PLACE, usage: { state_requests: 4 } },
  },
  putUsageCapsByMeter: { period: "day", capValue: 50_000, hardStop: true, notifyAtPercent: 80 },
  postPricingRate: {
    charge: { model: "per_unit", unitSize: 1_000_000, priceUsdMicros: "150000", included: 1_000_000 },
    quantity: 3_500_000,
  },
  putAccountsByAccountSubscription: { plan: "pro", effective: "now" },
  postCredits: { amountUsdMicros: 50_000_000, name: "Order 7", expiresAt: "2028-01-01T00:00:00Z", idempotencyKey: "order-7" },
  postAccountsByAccountCorrections: {
    meter: "state_requests",
    quantity: -1,
    reason: "Counted while the gateway sent each request twice",
    idempotencyKey: "correction-17",
  },
  postAccountsByAccountKeys: { scope: "read_only", name: "dashboard" },
  postWebhooks: { url: "https://example.com/hook", events: ["usage.threshold_reached", "usage.limit_reached"] },
  putServicesByService: { workerUrl: "https://worker.example" },
  postServicesByServiceStateNamespaces: { name: "Room" },
  putServicesByServiceStateNamespacesByNamespaceObjectsByObjectValuesByKey: { value: "1", encoding: "text" },
  putServicesByServiceStateNamespacesByNamespaceObjectsByObjectAlarm: { delaySeconds: 60 },
};
