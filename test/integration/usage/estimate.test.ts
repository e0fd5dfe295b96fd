import fc from "fast-check";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { BillingEstimate } from "../../../src/rating/estimate.ts";
import { openTestApp, type TestApp } from "../../support/app.ts";
import { Billing, GB, type Invoice } from "../../support/billing.ts";

let t: TestApp;
let billing: Billing;
beforeAll(async () => {
  t = await openTestApp();
  billing = new Billing(t);
  const pro = t.engine.catalog.plans.find(({ key }) => key === "pro");
  const team = { ...pro, key: "team", name: "Team", subscriptionUsdMicrosPerMonth: 20_000_000, minimumUsdMicrosPerMonth: 50_000_000 };
  await t.engine.applyCatalog({ plans: [team] });
});
afterAll(() => t.stop());

/** A month of nothing has no invoice; its upcoming one says so. */
const NO_INVOICE = { state: "finalized", lines: [], totalUsdMicros: 0, taxUsdMicros: 0, currency: "USD" };
const DAY_MS = 86_400_000;

/** What an account does at an instant of the month. */
interface Deed {
  /** Milliseconds after the month began. */
  at: number;
  plan?: "free" | "pro" | "team";
  requests?: number;
  rows?: number;
  gigabytes?: number;
  corrected?: number;
}

interface Life {
  name: string;
  plan: string;
  /** When the account begins, milliseconds after the month did. */
  begins: number;
  deeds: Deed[];
  terms?: object;
}

const ON_PRO = { name: "", plan: "pro", begins: 0 };
const TERMS = {
  discounts: [
    { name: "Launch", percent: "12.5" },
    { name: "Gift", amountUsdMicros: 500_001 },
  ],
  taxes: [
    { name: "VAT", percent: "19", inclusive: false },
    { name: "Levy", percent: "3.3", inclusive: true },
  ],
};

const LIVES: Life[] = [
  { name: "Free", plan: "free", begins: 0, deeds: [{ at: DAY_MS, requests: 90_000, gigabytes: 4 }] },
  { ...ON_PRO, name: "Pro, unused", deeds: [] },
  { ...ON_PRO, name: "Pro, storage that stays", deeds: [{ at: 0, gigabytes: 80, requests: 1_500_000 }] },
  {
    ...ON_PRO,
    name: "Pro, storage that moves up, down and away",
    deeds: [
      { at: 3 * DAY_MS + 7, gigabytes: 80 },
      { at: 10 * DAY_MS + 1_234_567, gigabytes: 200 },
      { at: 20 * DAY_MS, gigabytes: 10 },
      { at: 30 * DAY_MS - 2, gigabytes: 300 },
    ],
  },
  {
    name: "an upgrade in the middle of an hour",
    plan: "free",
    begins: 2 * DAY_MS,
    deeds: [
      { at: 3 * DAY_MS, requests: 50_000, gigabytes: 3 },
      { at: 11 * DAY_MS + 1_800_001, plan: "pro", requests: 1_300_000 },
      { at: 12 * DAY_MS, gigabytes: 77, requests: 5 },
    ],
  },
  {
    ...ON_PRO,
    name: "up, down, and back again",
    deeds: [
      { at: DAY_MS, requests: 1_200_000, gigabytes: 40 },
      { at: 5 * DAY_MS + 5, plan: "team", requests: 2_000_000 },
      { at: 9 * DAY_MS, plan: "pro", requests: 300_000, gigabytes: 20 },
      { at: 29 * DAY_MS, plan: "free" },
    ],
  },
  { name: "a minimum that is not reached", plan: "team", begins: 0, deeds: [{ at: DAY_MS, requests: 1_100_000 }] },
  { ...ON_PRO, name: "discounts and taxes", deeds: [{ at: DAY_MS, rows: 60_000_000, gigabytes: 90 }], terms: TERMS },
  { ...ON_PRO, name: "a correction", deeds: [{ at: DAY_MS, requests: 2_000_000, corrected: -300_000 }] },
];

const deed = fc.record(
  {
    at: fc.nat(30 * DAY_MS - 1),
    plan: fc.constantFrom("free" as const, "pro" as const, "team" as const),
    requests: fc.nat(3_000_000),
    rows: fc.nat(90_000_000),
    gigabytes: fc.nat(12).map((tens) => 10 * tens),
  },
  { requiredKeys: ["at"] },
);
const anyLife = fc.record({
  name: fc.constant("any"),
  plan: fc.constantFrom("pro", "team"),
  begins: fc.constantFrom(0, 1, 13 * DAY_MS + 12_345),
  deeds: fc.array(deed, { maxLength: 6 }),
});

async function act(account: string, { plan, requests, rows, gigabytes, corrected }: Deed): Promise<void> {
  if (plan) await billing.change(account, plan);
  const usage = { ...(requests ? { state_requests: requests } : {}), ...(rows ? { state_sqlite_rows_written: rows } : {}) };
  if (requests || rows) await billing.use(account, usage);
  if (gigabytes !== undefined) await hold(account, gigabytes);
  if (corrected) await billing.correct(account, corrected, new Date(t.clock.now()).toISOString(), "c");
}

/** Holds so much in ten objects; what a plan denies is not stored. */
async function hold(account: string, gigabytes: number): Promise<void> {
  for (let object = 0; object < 10; object++) {
    const set = gigabytes * (GB / 10);
    await t.check({ account, service: "s", namespace: "Room", object: `o${object}`, storageBytes: { set } });
  }
}

/** Lives all of them through the month at once; answers their accounts. */
async function live(month: number, lives: readonly Life[]): Promise<string[]> {
  const accounts: string[] = [];
  const steps = lives.flatMap(({ plan, begins, deeds, terms }, i) => [
    {
      at: begins,
      step: async () => {
        const account = (accounts[i] = await billing.newAccount(plan));
        if (terms) await t.send("PUT", `/v1/accounts/${account}/billing-terms`, { body: terms });
      },
    },
    ...deeds.map((done) => ({ at: Math.max(done.at, begins), step: () => act(accounts[i] ?? "", done) })),
  ]);
  for (const { at, step } of steps.sort((a, b) => a.at - b.at)) {
    t.clock.set(month + at);
    await step();
  }
  return accounts;
}

const estimateOf = async (account: string): Promise<BillingEstimate> =>
  (await t.send("GET", "/v1/usage", { account })).body["billingEstimate"] as BillingEstimate;

const usageOf = ({ lines }: Invoice): Record<string, number> => {
  const sums: Record<string, number> = {};
  for (const { kind, meter, amountUsdMicros } of lines) {
    if (kind === "usage" && amountUsdMicros > 0) sums[meter ?? "minimum"] = (sums[meter ?? "minimum"] ?? 0) + amountUsdMicros;
  }
  return sums;
};

const estimated = ({ lineItems, ...estimate }: BillingEstimate): Record<string, number> => {
  const lines = lineItems.filter((line) => line.estimatedUsdMicros > 0).map((line) => [line.meter, line.estimatedUsdMicros] as const);
  const { subscriptionUsdMicrosPerMonth: fee, currentMonthOverageUsdMicros: overage, estimatedMonthlyTotalUsdMicros: total } = estimate;
  expect(lines.reduce((sum, [, amount]) => sum + amount, 0)).toBe(overage);
  const missing = total - fee - overage;
  return Object.fromEntries(missing > 0 ? [...lines, ["minimum", missing]] : lines);
};

it("at the month's last millisecond the estimate and the upcoming invoice are what becomes final", async () => {
  const month = Date.parse("2027-04-01T00:00:00.000Z");
  const any = fc.sample(anyLife, { seed: 20_270_401, numRuns: 16 });
  const lives = [...LIVES, ...any];
  const accounts = await live(month, lives);
  billing.at("2027-04-30T23:59:59.999Z");
  const before = await Promise.all(accounts.map(async (account) => [await estimateOf(account), await billing.upcoming(account)] as const));
  billing.at("2027-05-02T00:00:00.000Z");
  await billing.run();
  for (const [i, account] of accounts.entries()) {
    const of = JSON.stringify(lives[i]);
    const [estimate, upcoming] = before[i]!;
    const invoice = (await billing.invoicesOf(account)).find(({ period }) => period.end === "2027-05-01T00:00:00.000Z");
    expect(estimated(estimate), of).toEqual(usageOf(invoice ?? upcoming));
    const { lines, totalUsdMicros, taxUsdMicros, currency } = upcoming;
    expect(invoice ?? NO_INVOICE, of).toMatchObject({ state: "finalized", lines, totalUsdMicros, taxUsdMicros, currency });
  }
  // Nothing is due once on a whole month of Pro: the total is the invoice's too.
  expect(before[2]?.[0].estimatedMonthlyTotalUsdMicros).toBe(5_000_000 + 75_000 + 15_000_000);
  expect(before[2]?.[1].totalUsdMicros).toBe(5_000_000 + 75_000 + 15_000_000);
  expect(before[7]?.[1].lines.map(({ kind }) => kind)).toEqual(["subscription", "usage", "usage", "credit", "credit", "tax", "tax"]);
});

it("within the month it takes levels for what they will be if nothing changes, and says so", async () => {
  billing.at("2027-06-01T00:00:00.000Z");
  const account = await billing.newAccount("pro");
  await billing.store(account, 80);
  billing.at("2027-06-11T00:00:00.000Z");
  await billing.store(account, 200);
  const storage = (await estimateOf(account)).lineItems.find(({ meter }) => meter === "state_sqlite_storage_bytes");
  // (80 × 10 + 200 × 20) / 30 = 160; 155 × $0.20.
  expect(storage).toMatchObject({
    currentMonthUsed: 200 * GB,
    billableAmount: 155 * GB,
    estimatedUsdMicros: 31_000_000,
    estimateBasis: "month_average_at_current_storage_bytes",
  });
});

it("keeps to the month that is open where the calendar is changed inside it", async () => {
  billing.at("2028-06-01T00:00:00.000Z");
  const account = await billing.newAccount("pro");
  await billing.store(account, 80);
  await billing.use(account, { state_requests: 1_500_000 });
  billing.at("2028-07-01T00:00:00.000Z");
  await billing.run();
  billing.at("2028-07-05T00:00:00.000Z");
  await billing.use(account, { state_requests: 1_200_000 });
  await billing.store(account, 100);
  for (const [at, settings] of [
    ["2028-07-10T00:00:00.000Z", { billingAnchorDay: 15 }],
    ["2028-07-20T00:00:00.000Z", { timezone: "America/New_York" }],
  ] as const) {
    billing.at(at);
    await t.send("PUT", `/v1/accounts/${account}`, { body: settings });
    await billing.use(account, { state_requests: 10_000 });
    expect(estimated(await estimateOf(account))).toEqual(usageOf(await billing.upcoming(account)));
  }
});
