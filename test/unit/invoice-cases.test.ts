import { describe, expect, test } from "vitest";
import { compose, type InvoiceInput } from "../../src/invoices/compose.ts";
import type { Basis } from "../../src/invoices/invoice.ts";
import { AprilInvoices, termsOf, type PlanFrom, type Used } from "../support/invoice-input.ts";

/**
 * Worked cases: each name says the arithmetic, and the amounts beside it were reckoned by hand. Micro-dollars; April has 30 days, May 31.
 */
const each = (priceUsdMicros: string) => ({ model: "per_unit", unitSize: 1, priceUsdMicros });
const plan = (key: string, fee: number, more: object = {}) => ({ key, name: key, subscriptionUsdMicrosPerMonth: fee, ...more });
const tiers = [
  { upTo: 10, priceUsdMicros: "5" },
  { upTo: 20, priceUsdMicros: "3", flatUsdMicros: "100" },
  { upTo: null, priceUsdMicros: "1", flatUsdMicros: "50" },
];
const april = new AprilInvoices([
  plan("team", 20_000_000, {
    charges: { log_events: each("2") },
    allowances: { log_events: { quantity: 100, period: "month", hard: false } },
  }),
  plan("graduated", 0, { charges: { log_events: { model: "graduated", tiers } } }),
  plan("volume", 0, { charges: { log_events: { model: "volume", tiers } } }),
  plan("package", 0, { charges: { log_events: { model: "package", packageSize: 100, priceUsdMicros: "7", included: 50 } } }),
  plan("percentage", 0, { charges: { log_events: { model: "percentage", percent: "2.9", fixedUsdMicros: "300000" } } }),
  plan("half", 0, { charges: { log_events: each("0.5"), kv_reads: each("0.5") } }),
  plan("minimum", 0, { minimumUsdMicrosPerMonth: 1_000, charges: { log_events: each("2") } }),
  plan("odd", 1_000_001),
  plan("one", 1),
  plan("euro", 3_000_000, { currency: "EUR", charges: { log_events: each("2") } }),
]);

const EVER = -60;
const on = (name: string): PlanFrom[] => [{ day: EVER, plan: name }];
/** Kind and amount of each line; a meter's where it has one. */
type Lines = (readonly [kind: string, amount: number])[];

function linesOf(input: InvoiceInput): Lines {
  const body = compose(input);
  const all = body?.lines ?? [];
  expect(all.reduce((sum, line) => sum + line.amountUsdMicros, 0)).toBe(body?.totalUsdMicros ?? 0);
  // What is below zero is carried to the next invoice (unit/invoice-balance.test.ts).
  const lines = all.filter(({ explain }) => explain.balance === undefined);
  expect(body?.totalUsdMicros ?? 0).toBe(
    Math.max(
      0,
      lines.reduce((sum, line) => sum + line.amountUsdMicros, 0),
    ),
  );
  const tiered = lines.filter(({ tiers: parts = [] }) => parts.length > 0);
  expect(tiered.map((line) => line.tiers?.reduce((sum, tier) => sum + tier.amountUsdMicros, 0))).toEqual(
    tiered.map((l) => l.amountUsdMicros),
  );
  return lines.map((line) => [line.kind, line.amountUsdMicros]);
}

describe("every meter of Pro, beyond what it includes", () => {
  const GB = 1_000_000_000;
  const cases: [arithmetic: string, meter: string, used: Used[string], amount: number][] = [
    ["12,000,000 − 10,000,000 = 2,000,000 × 0.3", "worker_requests", 12_000_000, 600_000],
    ["30,000,050 − 30,000,000 = 50 × 0.02 = 1", "worker_cpu_ms", 30_000_050, 1],
    ["5 GB of transfer, free", "worker_transfer_bytes", 5 * GB, 0],
    ["7 GB of static transfer, free", "static_transfer_bytes", 7 * GB, 0],
    ["25,003,000,000 − 25 × 10^9 = 3,000,000 × 0.001", "sqlite_rows_read", 25_003_000_000, 3_000],
    ["50,000,007 − 50,000,000 = 7 × 1", "sqlite_rows_written", 50_000_007, 7],
    ["8 GB all month − 5 = 3 × 750,000", "sqlite_storage_bytes", { level: 8 * GB, days: 30 }, 2_250_000],
    ["10,000,003 − 10,000,000 = 3 × 0.5 = 1.5 → 2", "kv_reads", 10_000_003, 2],
    ["1,000,001 − 1,000,000 = 1 × 5", "kv_writes", 1_000_001, 5],
    ["1,200,000 − 1,000,000 = 200,000 × 5", "kv_deletes", 1_200_000, 1_000_000],
    ["1,000,000: exactly what is included", "kv_lists", 1_000_000, 0],
    ["3 GB for 10 days = 1 GB: included", "kv_storage_bytes", { level: 3 * GB, days: 10 }, 0],
    ["3 GB for 15 days = 1.5 − 1 = 0.5 × 500,000", "kv_storage_bytes", { level: 3 * GB, days: 15 }, 250_000],
    ["1,000,010 − 1,000,000 = 10 × 0.4", "queue_operations", 1_000_010, 4],
    ["1,500,000 − 1,000,000 = 500,000 × 0.15", "state_requests", 1_500_000, 75_000],
    ["1,000,003 − 1,000,000 = 3 × 0.15 = 0.45 → 0", "state_requests", 1_000_003, 0],
    ["1,000,010 − 1,000,000 = 10 × 0.15 = 1.5 → 2", "state_requests", 1_000_010, 2],
    ["400,000,040 − 400,000,000 = 40 × 0.0125 = 0.5 → 1", "state_duration_gb_milliseconds", 400_000_040, 1],
    ["1,400,000,000 − 400,000,000 = 10^9 GB-ms: 1 M GB-s × 12.50", "state_duration_gb_milliseconds", 1_400_000_000, 12_500_000],
    ["25,000,000,499 − 25 × 10^9 = 499 × 0.001 = 0.499 → 0", "state_sqlite_rows_read", 25_000_000_499, 0],
    ["60,000,000 − 50,000,000 = 10,000,000 × 1", "state_sqlite_rows_written", 60_000_000, 10_000_000],
    ["160 GB all month − 5 = 155 × 200,000", "state_sqlite_storage_bytes", { level: 160 * GB, days: 30 }, 31_000_000],
    ["10 GB for 15 days = 5: included", "state_sqlite_storage_bytes", { level: 10 * GB, days: 15 }, 0],
    [
      "31 GB for 10 days = 10.33 − 5 = 5.33 × 200,000 = 1,066,666.67",
      "state_sqlite_storage_bytes",
      { level: 31 * GB, days: 10 },
      1_066_667,
    ],
    ["11 GB − 10 = 1 × 15,000", "object_storage_bytes", { level: 11 * GB, days: 30 }, 15_000],
    ["1,000,001 − 1,000,000 = 1 × 4.5 → 5", "object_storage_class_a_operations", 1_000_001, 5],
    ["10,000,025 − 10,000,000 = 25 × 0.36 = 9", "object_storage_class_b_operations", 10_000_025, 9],
    ["1.5 TB − 1 = 0.5 × 1,200,000", "object_storage_egress_bytes", 1_500_000_000_000, 600_000],
    ["6,007 − 6,000 = 7 × 5,000", "build_minutes", 6_007, 35_000],
    ["20,000,005 − 20,000,000 = 5 × 0.6", "log_events", 20_000_005, 3],
  ];
  test.each(cases)("%s (%s)", (_arithmetic, meter, used, amount) => {
    expect(linesOf(april.input(on("pro"), { pro: { [meter]: used } }))).toEqual([
      ["subscription", 5_000_000],
      ["usage", amount],
    ]);
  });
});

interface Case {
  name: string;
  plans: PlanFrom[];
  used?: Record<string, Used>;
  more?: Partial<InvoiceInput>;
  lines: Lines;
}

const of = (name: string, plans: PlanFrom[], lines: Lines, used: Record<string, Used> = {}, more: Partial<InvoiceInput> = {}): Case => ({
  name,
  plans,
  lines,
  used,
  more,
});
const events = (name: string, key: string, quantity: number, ...amounts: number[]): Case =>
  of(
    name,
    on(key),
    amounts.map((amount) => ["usage", amount]),
    { [key]: { log_events: quantity } },
  );

const models: Case[] = [
  events("graduated, 7 × 5", "graduated", 7, 35),
  events("graduated, exactly 10 × 5", "graduated", 10, 50),
  events("graduated, 10 × 5 + 1 × 3 + 100", "graduated", 11, 153),
  events("graduated, 10 × 5 + (10 × 3 + 100) + (5 × 1 + 50)", "graduated", 25, 235),
  events("volume, exactly 10 × 5", "volume", 10, 50),
  events("volume, all 11 × 3 + 100", "volume", 11, 133),
  events("volume, all 21 × 1 + 50", "volume", 21, 71),
  events("package, 50 are included: nothing", "package", 50, 0),
  events("package, one more is a whole one", "package", 51, 7),
  events("package, 250 − 50 = 200 are two", "package", 250, 14),
  events("percentage, 2.9 % of 100,000,000 + 300,000", "percentage", 100_000_000, 3_200_000),
  of(
    "two lines of 1 × 0.5 are rounded each: 1 + 1",
    on("half"),
    [
      ["usage", 1],
      ["usage", 1],
    ],
    { half: { log_events: 1, kv_reads: 1 } },
  ),
  events("minimum: nothing used, 1,000 are missing", "minimum", 0, 1_000),
  events("minimum: 100 × 2 = 200, 800 are missing", "minimum", 100, 200, 800),
  events("minimum: 500 × 2 reach it", "minimum", 500, 1_000),
  events("minimum: 501 × 2 pass it", "minimum", 501, 1_002),
  of(
    "minimum for 10 of 30 days: 333.33; 100 × 2 = 200, 133 are missing",
    [
      { day: EVER, plan: "minimum" },
      { day: 10, plan: "free" },
    ],
    [
      ["usage", 200],
      ["usage", 133],
    ],
    { minimum: { log_events: 100 } },
  ),
  of(
    "corrections are in the month's line: (150 − 20 − 100) × 2",
    on("team"),
    [
      ["subscription", 20_000_000],
      ["usage", 60],
    ],
    {
      team: { log_events: { used: 150, corrected: -20 } },
    },
  ),
  of("corrections below zero bill nothing, and have no line", on("half"), [], { half: { log_events: { used: 5, corrected: -9 } } }),
  of("a free plan has no invoice", on("free"), [], { free: { state_requests: 90_000 } }),
  of(
    "another currency is billed in it",
    on("euro"),
    [
      ["subscription", 3_000_000],
      ["usage", 14],
    ],
    { euro: { log_events: 7 } },
  ),
];

const fees: Case[] = [
  of("a month ahead", on("pro"), [["subscription", 5_000_000]]),
  of(
    "begun on April 11: 5,000,000 × 20/30 = 3,333,333.33",
    [{ day: 10, plan: "pro" }],
    [
      ["subscription", 5_000_000],
      ["proration", 3_333_333],
    ],
  ),
  of(
    "begun on April 21: 5,000,000 × 10/30 = 1,666,666.67",
    [{ day: 20, plan: "pro" }],
    [
      ["subscription", 5_000_000],
      ["proration", 1_666_667],
    ],
  ),
  of(
    "begun on April 30 at noon: 5,000,000 × 0.5/30 = 83,333.33",
    [{ day: 29.5, plan: "pro" }],
    [
      ["subscription", 5_000_000],
      ["proration", 83_333],
    ],
  ),
  of(
    "1,000,001 × 15/30 = 500,000.5 → 500,001",
    [{ day: 15, plan: "odd" }],
    [
      ["subscription", 1_000_001],
      ["proration", 500_001],
    ],
  ),
  of(
    "1,000,001 × 15/30 given back: −500,000.5 → −500,001",
    [
      { day: EVER, plan: "odd" },
      { day: 15, plan: "free" },
    ],
    [["proration", -500_001]],
  ),
  of(
    "a fee of 1 for half a month is 0.5 → 1",
    [{ day: 15, plan: "one" }],
    [
      ["subscription", 1],
      ["proration", 1],
    ],
  ),
  of(
    "up on April 16: −5,000,000/2, 20,000,000/2, and 20,000,000 ahead",
    [
      { day: EVER, plan: "pro" },
      { day: 15, plan: "team" },
    ],
    [
      ["subscription", 20_000_000],
      ["proration", -2_500_000],
      ["proration", 10_000_000],
    ],
  ),
  of(
    "down on April 16: −20,000,000/2, 5,000,000/2, and 5,000,000 ahead",
    [
      { day: EVER, plan: "team" },
      { day: 15, plan: "pro" },
    ],
    [
      ["subscription", 5_000_000],
      ["proration", -10_000_000],
      ["proration", 2_500_000],
    ],
  ),
  of(
    "down when the month ends: the new fee ahead, nothing else",
    [
      { day: EVER, plan: "team" },
      { day: 30, plan: "pro" },
    ],
    [["subscription", 5_000_000]],
  ),
  of(
    "cancelled when the month ends: no fee ahead",
    [
      { day: EVER, plan: "pro" },
      { day: 30, plan: "free" },
    ],
    [],
  ),
  of(
    "cancelled on April 10: −5,000,000 × 21/30",
    [
      { day: EVER, plan: "pro" },
      { day: 9, plan: "free" },
    ],
    [["proration", -3_500_000]],
  ),
  of(
    "free until April 7: 5,000,000 × 24/30",
    [
      { day: EVER, plan: "free" },
      { day: 6, plan: "pro" },
    ],
    [
      ["subscription", 5_000_000],
      ["proration", 4_000_000],
    ],
  ),
  of(
    "up and down again, each to its day: 20/30 of 5 back and of 20 charged, 10/30 of 20 back and of 5 charged",
    [
      { day: EVER, plan: "pro" },
      { day: 10, plan: "team" },
      { day: 20, plan: "pro" },
    ],
    [
      ["subscription", 5_000_000],
      ["proration", -3_333_333],
      ["proration", 13_333_333],
      ["proration", -6_666_667],
      ["proration", 1_666_667],
    ],
  ),
  of(
    "the same plan again changes nothing",
    [
      { day: EVER, plan: "pro" },
      { day: 12, plan: "pro" },
    ],
    [["subscription", 5_000_000]],
  ),
  of(
    "a trial of 10 days from April 11: 5,000,000 × 10/30",
    [{ day: 10, plan: "pro", trial: 10 }],
    [
      ["subscription", 5_000_000],
      ["proration", 1_666_667],
    ],
  ),
  of("a trial to the month's end: nothing for April", [{ day: 10, plan: "pro", trial: 20 }], [["subscription", 5_000_000]]),
  of(
    "a trial into May, of 5 of its 31 days: 5,000,000 × 26/31 = 4,193,548.4",
    [{ day: 10, plan: "pro", trial: 25 }],
    [["proration", 4_193_548]],
  ),
  of("a trial over all of May: nothing", [{ day: 10, plan: "pro", trial: 60 }], []),
  of(
    "left in its trial: nothing to give back before it ended; 10/30 from April 21 on come back",
    [
      { day: 0.5, plan: "pro", trial: 19.5 },
      { day: 10, plan: "free" },
    ],
    [
      ["proration", 1_666_667],
      ["proration", -1_666_667],
    ],
  ),
  of(
    "changed in the millisecond the month began, after 5,000,000 were billed: back, and 20,000,000",
    [
      { day: EVER, plan: "pro" },
      { day: 0, plan: "team" },
    ],
    [
      ["subscription", 20_000_000],
      ["proration", -5_000_000],
      ["proration", 20_000_000],
    ],
    {},
    { feeBilled: 5_000_000n },
  ),
  of("billed as it is: nothing more", on("pro"), [["subscription", 5_000_000]], {}, { feeBilled: 5_000_000n }),
];

const underTwo: Case[] = [
  of(
    "90,000 on Free, then 1,200,000 on Pro: 200,000 × 0.15, the whole allowance; 5,000,000 × 15/30",
    [
      { day: EVER, plan: "free" },
      { day: 15, plan: "pro" },
    ],
    [
      ["subscription", 5_000_000],
      ["proration", 2_500_000],
      ["usage", 30_000],
    ],
    { free: { state_requests: 90_000 }, pro: { state_requests: 1_200_000 } },
  ),
  of(
    "overage on Pro stays when it is left: 500,000 × 0.15",
    [
      { day: EVER, plan: "pro" },
      { day: 29, plan: "free" },
    ],
    [
      ["proration", -166_667],
      ["usage", 75_000],
    ],
    { pro: { state_requests: 1_500_000 }, free: { state_requests: 90_000 } },
  ),
  of(
    "log events on Team, (150 − 100) × 2, and on Pro, included",
    [
      { day: EVER, plan: "team" },
      { day: 15, plan: "pro" },
    ],
    [
      ["subscription", 5_000_000],
      ["proration", -10_000_000],
      ["proration", 2_500_000],
      ["usage", 100],
      ["usage", 0],
    ],
    { team: { log_events: 150 }, pro: { log_events: 5_000 } },
  ),
  of(
    "20 GB for the 15 days on Pro are 10 GB-months: 5 × 200,000",
    [
      { day: EVER, plan: "free" },
      { day: 15, plan: "pro" },
    ],
    [
      ["subscription", 5_000_000],
      ["proration", 2_500_000],
      ["usage", 1_000_000],
    ],
    { pro: { state_sqlite_storage_bytes: { level: 20_000_000_000, days: 15 } } },
  ),
];

const basis = (usage: number, corrections: number, amountUsdMicros: number, byteMilliseconds = 0n): Basis => ({
  usage: String(usage),
  corrections: String(corrections),
  byteMilliseconds: String(byteMilliseconds),
  amountUsdMicros,
});
const late = (name: string, billed: Basis | null, now: Used[string], lines: Lines, meter = "state_requests"): Case =>
  of(name, on("pro"), [["subscription", 5_000_000], ...lines], {}, { earlier: [april.march(meter, billed, now)] });
const MARCH_GB = 10n ** 9n * 31n * 86_400_000n;

const cameLate: Case[] = [
  late("nothing came", basis(1_500_000, 0, 75_000), 1_500_000, []),
  late("100,000 more: 90,000 − 75,000", basis(1_500_000, 0, 75_000), 1_600_000, [["usage", 15_000]]),
  late("more, still included: a line of 0", basis(5, 0, 0), 900_000, [["usage", 0]]),
  late("over what is included by what came: 200,000 × 0.15 − 0", basis(900_000, 0, 0), 1_200_000, [["usage", 30_000]]),
  late("the first usage of the month at all: 500,000 × 0.15", null, 1_500_000, [["usage", 75_000]]),
  late("200,000 corrected away: 45,000 − 75,000", basis(1_500_000, 0, 75_000), { used: 1_500_000, corrected: -200_000 }, [
    ["correction", -30_000],
  ]),
  late(
    "both: usage first (90,000 − 75,000), then the correction (60,000 − 90,000)",
    basis(1_500_000, 0, 75_000),
    { used: 1_600_000, corrected: -200_000 },
    [
      ["usage", 15_000],
      ["correction", -30_000],
    ],
  ),
  late(
    "a second correction is told from the first: 15,000 − 45,000",
    basis(1_500_000, -200_000, 45_000),
    { used: 1_500_000, corrected: -400_000 },
    [["correction", -30_000]],
  ),
  late("more than was used is corrected: all of it comes back", basis(1_500_000, 0, 75_000), { used: 1_500_000, corrected: -2_000_000 }, [
    ["correction", -75_000],
  ]),
  late("corrected upwards: 105,000 − 75,000", basis(1_500_000, 0, 75_000), { used: 1_500_000, corrected: 200_000 }, [
    ["correction", 30_000],
  ]),
  late("half micro-dollars do not add up over lines: 1 (0.6), then 2 (1.5) − 1", basis(1_000_004, 0, 1), 1_000_010, [["usage", 1]]),
  late(
    "a level that was booked late: 7 GB all of March, 2 × 200,000, of which 6 GB are billed",
    basis(0, 0, 200_000, 6n * MARCH_GB),
    { level: 7_000_000_000, days: 31 },
    [["usage", 200_000]],
    "state_sqlite_storage_bytes",
  ),
];

const percent = (value: string, until: number | null = null) => ({ name: `${value} %`, percent: value, until });
const tax = (value: string, inclusive = false) => ({ name: "VAT", percent: value, inclusive });
const terms = (
  name: string,
  discounts: ReturnType<typeof percent>[],
  taxes: ReturnType<typeof tax>[],
  lines: Lines,
  used = 1_000_000,
): Case => of(name, on("pro"), lines, { pro: { state_requests: used } }, { terms: termsOf({ discounts, taxes }) });
const FEE = ["subscription", 5_000_000] as const;
const NONE = ["usage", 0] as const;

const withTerms: Case[] = [
  terms("10 % of 5,000,000", [percent("10")], [], [FEE, NONE, ["credit", -500_000]]),
  terms("10 %, then 50 % of 4,500,000", [percent("10"), percent("50")], [], [FEE, NONE, ["credit", -500_000], ["credit", -2_250_000]]),
  terms("33.333 % of 5,075,000 = 1,691,649.75", [percent("33.333")], [], [FEE, ["usage", 75_000], ["credit", -1_691_650]], 1_500_000),
  terms("until May 1: April has it", [percent("10", Date.parse("2027-05-01T00:00:00Z"))], [], [FEE, NONE, ["credit", -500_000]]),
  terms("until April 30: April has it no more", [percent("10", Date.parse("2027-04-30T00:00:00Z"))], [], [FEE, NONE]),
  terms("19 % on 5,000,000", [], [tax("19")], [FEE, NONE, ["tax", 950_000]]),
  terms("19 % on 5,000,002 = 950,000.38", [], [tax("19")], [FEE, ["usage", 2], ["tax", 950_000]], 1_000_010),
  terms("10 % off, 19 % on 4,500,000", [percent("10")], [tax("19")], [FEE, NONE, ["credit", -500_000], ["tax", 855_000]]),
  terms("5 % and 9.975 % on 5,000,000", [], [tax("5"), tax("9.975")], [FEE, NONE, ["tax", 250_000], ["tax", 498_750]]),
  terms("25 % contained in 5,000,000: a line of 0", [], [tax("25", true)], [FEE, NONE, ["tax", 0]]),
  terms("25 % contained, 10 % on the 4,000,000", [], [tax("25", true), tax("10")], [FEE, NONE, ["tax", 0], ["tax", 400_000]]),
  terms("all of it off: no tax on nothing", [percent("100")], [tax("19")], [FEE, NONE, ["credit", -5_000_000], ["tax", 0]]),
];

describe.each([
  ["charge models, minimums, corrections", models],
  ["fees", fees],
  ["usage under two plans", underTwo],
  ["what came late", cameLate],
  ["discounts and taxes", withTerms],
])("%s", (_group, cases) => {
  test.each(cases)("$name", ({ plans, used = {}, more = {}, lines }) => {
    expect(linesOf(april.input(plans, used, more))).toEqual(lines);
  });
});

test("there are at least 80 of them, and the seed's month is the sum of four", () => {
  expect(30 + models.length + fees.length + underTwo.length + cameLate.length + withTerms.length).toBeGreaterThanOrEqual(80);
  const seed = april.input(on("pro"), {
    pro: {
      state_requests: 1_500_000,
      state_sqlite_rows_written: 60_000_000,
      // 80 GB for 10 days and 200 GB for 20 are 160 GB for 30.
      state_sqlite_storage_bytes: { level: 160_000_000_000, days: 30 },
    },
  });
  expect(compose(seed)?.totalUsdMicros).toBe(5_000_000 + 75_000 + 10_000_000 + 31_000_000);
});
