import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { checkInvariants } from "../../../src/ledger/invariants.ts";
import { openTestApp, type TestApp } from "../../support/app.ts";
import { amounts, Billing, type Invoice } from "../../support/billing.ts";

let t: TestApp;
let billing: Billing;
beforeAll(async () => {
  t = await openTestApp();
  billing = new Billing(t);
});
afterAll(() => t.stop());

/** An account on Pro with 1,500,000 requests in January 2027, and its draft. */
async function billedJanuary(): Promise<{ account: string; invoice: Invoice }> {
  billing.at("2027-01-01T00:00:00.000Z");
  const account = await billing.newAccount("pro");
  billing.at("2027-01-20T07:30:00.000Z");
  await billing.use(account, { state_requests: 1_500_000 });
  billing.at("2027-02-01T00:00:00.000Z");
  await billing.run();
  const [invoice] = await billing.invoicesOf(account);
  return { account, invoice: invoice! };
}

describe("who may see and do what", () => {
  it("an account reads its own invoices; nobody another's; the operator alone changes them", async () => {
    const { account, invoice } = await billedJanuary();
    const other = await billing.newAccount("pro");
    const [own, reader, stranger] = await Promise.all([t.key("account", account), t.key("read_only", account), t.key("account", other)]);
    for (const url of [`/v1/invoices/${invoice.id}`, `/v1/invoices/${invoice.id}/lines/1`, `/v1/invoices/${invoice.id}/credit-notes`]) {
      for (const key of [own, reader]) expect((await t.send("GET", url, { key })).status).toBe(200);
      expect((await t.send("GET", url)).status).toBe(200);
      expect(await t.send("GET", url, { key: stranger })).toMatchObject({ status: 404, body: { code: "not_found" } });
      expect((await t.send("GET", url, { account: other })).status).toBe(404);
      expect((await t.send("GET", url, { key: null })).status).toBe(401);
    }
    for (const action of ["finalize", "pay", "void"])
      expect((await t.send("POST", `/v1/invoices/${invoice.id}/${action}`, { key: own })).status).toBe(403);
    expect((await t.send("POST", "/v1/invoices/run", { key: own })).status).toBe(403);
    expect((await t.send("GET", "/v1/invoices", { key: reader })).body["invoices"]).toHaveLength(2);
    expect((await t.send("GET", "/v1/invoices", { account: "acct_nobody" })).status).toBe(404);
    expect((await t.send("GET", "/v1/invoices/upcoming", { account: "acct_nobody" })).status).toBe(404);
    expect((await t.send("GET", "/v1/invoices")).status).toBe(400);
    expect((await t.send("GET", `/v1/invoices/inv_${"x".repeat(20)}`)).status).toBe(404);
    expect((await t.send("GET", "/v1/invoices/inv_short")).status).toBe(404);
    expect((await t.send("GET", `/v1/invoices/${invoice.id}/lines/9`)).status).toBe(404);
  });

  it("an account sees its draft as it stands now, though it may change no invoice", async () => {
    const { account, invoice } = await billedJanuary();
    await billing.lateUsage(account, "2027-01-30T05:00:00.000Z", 1_000_000);
    const seen = await t.send("GET", `/v1/invoices/${invoice.id}`, { key: await t.key("read_only", account) });
    expect(seen).toMatchObject({ status: 200, body: { state: "draft", totalUsdMicros: 5_225_000 } });
    expect((await t.send("GET", `/v1/invoices/${invoice.id}`)).body).toMatchObject({ totalUsdMicros: 5_225_000 });
  });

  it("a list comes in pages, newest first", async () => {
    const { account } = await billedJanuary();
    const first = await t.send("GET", "/v1/invoices?limit=1", { account });
    expect(first.body["invoices"]).toMatchObject([{ period: { end: "2027-02-01T00:00:00.000Z" } }]);
    const rest = await t.send("GET", `/v1/invoices?limit=1&cursor=${String(first.body["nextCursor"])}`, { account });
    expect(rest.body).toMatchObject({ invoices: [{ period: { end: "2027-01-01T00:00:00.000Z" } }], nextCursor: null });
    expect((await t.send("GET", "/v1/invoices?cursor=bm90", { account })).status).toBe(400);
  });

  it("as CSV, with a name that is no formula", async () => {
    const { account, invoice } = await billedJanuary();
    await t.send("PUT", `/v1/accounts/${account}/billing-terms`, { body: { discounts: [{ name: '=1+"2"', percent: "10" }] } });
    const response = await t.app.inject({
      url: `/v1/invoices/${invoice.id}.csv`,
      headers: { authorization: `Bearer ${await t.key("read_only", account)}` },
    });
    expect(response.headers["content-type"]).toBe("text/csv; charset=utf-8");
    expect(response.body.split("\r\n")[2]).toBe(
      '2,usage,state_requests,"State: State API calls, alarm deliveries, and one for every 20 incoming WebSocket messages (state_requests), Pro",' +
        "2027-01-01T00:00:00.000Z,2027-02-01T00:00:00.000Z,1500000,1000000,500000,150000,million requests,1000000,75000,USD," +
        '"1,500,000 used − 1,000,000 included → 500,000 request billable; 0.5 × $0.15 = $0.075"',
    );
    expect(response.body).toContain(`"'=1+""2"""`);
  });
});

describe("discounts and taxes", () => {
  it("come off and on in this order, and the lines add up", async () => {
    const { account } = await billedJanuary();
    const terms = {
      discounts: [{ name: "Launch", percent: "10" }],
      taxes: [
        { name: "VAT", percent: "19" },
        { name: "Levy", percent: "1.5" },
      ],
    };
    await t.send("PUT", `/v1/accounts/${account}/billing-terms`, { body: terms });
    await billing.use(account, { state_requests: 2_000_000 });
    const invoice = await billing.upcoming(account);
    expect(amounts(invoice)).toEqual([
      ["subscription", null, 5_000_000],
      ["usage", "state_requests", 150_000],
      ["credit", null, -515_000], // 10 % of 5,150,000
      ["tax", null, 880_650], // 19 % of 4,635,000
      ["tax", null, 69_525], // 1.5 % of 4,635,000
    ]);
    expect(invoice).toMatchObject({ subtotalUsdMicros: 4_635_000, taxUsdMicros: 950_175, totalUsdMicros: 5_585_175 });
  });

  it("a tax that the prices contain is told and adds nothing", async () => {
    const { account } = await billedJanuary();
    await t.send("PUT", `/v1/accounts/${account}/billing-terms`, { body: { taxes: [{ name: "VAT", percent: "25", inclusive: true }] } });
    const invoice = await billing.upcoming(account);
    expect(amounts(invoice)).toEqual([
      ["subscription", null, 5_000_000],
      ["tax", null, 0],
    ]);
    expect(invoice).toMatchObject({ taxUsdMicros: 1_000_000, totalUsdMicros: 5_000_000 });
  });
});

describe("credit notes", () => {
  it("are numbered without gaps, once a key, and never more than the invoice", async () => {
    const { account, invoice } = await billedJanuary();
    const url = `/v1/invoices/${invoice.id}/credit-notes`;
    const credit = (amountUsdMicros: number, idempotencyKey: string) =>
      t.send("POST", url, { body: { amountUsdMicros, reason: "outage", idempotencyKey } });
    expect(await credit(1, "a")).toMatchObject({ status: 409 });
    billing.at("2027-02-02T00:00:00.000Z");
    await billing.run();
    const made = await Promise.all(["a", "a", "b", "c", "c", "c"].map((key) => credit(1_000_000, key)));
    expect(made.map(({ status }) => status)).toEqual([201, 201, 201, 201, 201, 201]);
    expect(new Set(made.map(({ body }) => body["number"])).size).toBe(3);
    expect(await credit(2_000_000, "a")).toMatchObject({ status: 409, body: { code: "idempotency_mismatch" } });
    expect(await credit(2_075_001, "d")).toMatchObject({ status: 409, body: { code: "conflict" } });
    expect((await credit(2_075_000, "d")).status).toBe(201);
    const { body } = await t.send("GET", `/v1/invoices/${invoice.id}`);
    expect(body).toMatchObject({ totalUsdMicros: 5_075_000, creditedUsdMicros: 5_075_000, amountDueUsdMicros: 0, state: "finalized" });
    const notes = (await t.send("GET", url, { key: await t.key("read_only", account) })).body["creditNotes"] as unknown as {
      number: number;
    }[];
    expect(notes.map(({ number }) => number)).toEqual(notes.map((_, i) => (notes[0]?.number ?? 0) - i));
    for (const wrong of [
      {},
      { amountUsdMicros: 0, reason: "r", idempotencyKey: "x" },
      { amountUsdMicros: 1.5, reason: "r", idempotencyKey: "x" },
    ])
      expect(await t.send("POST", url, { body: wrong })).toMatchObject({ status: 400, body: { code: "validation_failed" } });
  });

  it("a void invoice keeps its number and is neither credited, paid nor billed again", async () => {
    const { account, invoice } = await billedJanuary();
    billing.at("2027-02-02T00:00:00.000Z");
    await billing.run();
    const voided = await t.send("POST", `/v1/invoices/${invoice.id}/void`);
    expect(voided).toMatchObject({ status: 200, body: { state: "void", amountDueUsdMicros: 0, number: expect.any(Number) } });
    expect((await t.send("POST", `/v1/invoices/${invoice.id}/void`)).status).toBe(200);
    expect((await t.send("POST", `/v1/invoices/${invoice.id}/pay`)).status).toBe(409);
    const body = { amountUsdMicros: 1, reason: "r", idempotencyKey: "k" };
    expect((await t.send("POST", `/v1/invoices/${invoice.id}/credit-notes`, { body })).status).toBe(409);
    expect(amounts(await billing.upcoming(account))).toEqual([["subscription", null, 5_000_000]]);
  });
});

describe("an account whose numbers do not reconcile", () => {
  it("is parked with the reason while the others are billed, and billed when they do", async () => {
    billing.at("2027-05-01T00:00:00.000Z");
    const [broken, well] = [await billing.newAccount("pro"), await billing.newAccount("pro")];
    await billing.run();
    await billing.use(broken, { state_requests: 10 });
    const odd = {
      account: broken,
      bucket: "2027-05-09T10:07:00.000Z",
      meter: "state_requests",
      service: "s",
      namespace: "",
      epoch: 0n,
      source: "x",
    };
    await t.engine.db
      .insertInto("usage_buckets")
      .values({ ...odd, quantity: 1n })
      .execute();
    billing.at("2027-06-02T00:00:00.000Z");
    expect(await billing.run()).toMatchObject({ parked: 1 });
    expect(await billing.invoicesOf(broken)).toHaveLength(1);
    expect(await billing.invoicesOf(well)).toMatchObject([{ state: "finalized" }, { state: "finalized" }]);
    const parked = await t.send("GET", "/v1/invoices/parked");
    expect(parked.body["parkedAccounts"]).toMatchObject([{ account: broken, reason: expect.stringMatching(/^buckets-on-edges: .*10:07/) }]);
    expect(await t.engine.examine()).toContainEqual(
      expect.objectContaining({ check: "billing", state: "failed", found: expect.stringContaining(broken) }),
    );
    await t.engine.db.deleteFrom("usage_buckets").where("account", "=", broken).where("source", "=", "x").execute();
    expect(await billing.run()).toMatchObject({ closed: 1, finalized: 2, parked: 0 });
    expect(await billing.invoicesOf(broken)).toHaveLength(2);
    expect((await t.send("GET", "/v1/invoices/parked")).body["parkedAccounts"]).toEqual([]);
  });

  it("nor is one billed whose amount no JSON number holds", async () => {
    const dear = { model: "per_unit", unitSize: 1, priceUsdMicros: "9000000000000000" };
    await t.engine.applyCatalog({
      plans: [{ key: "dear", name: "Dear", subscriptionUsdMicrosPerMonth: 0, charges: { log_events: dear } }],
    });
    billing.at("2027-07-01T00:00:00.000Z");
    const account = await billing.newAccount("dear");
    await billing.use(account, { log_events: 2 });
    billing.at("2027-08-01T00:00:00.000Z");
    expect(await billing.run()).toMatchObject({ parked: 1 });
    const parked = await t.send("GET", "/v1/invoices/parked");
    expect(parked.body["parkedAccounts"]).toMatchObject([{ account, reason: expect.stringContaining("beyond") }]);
    await billing.change(account, "free");
  });

  it("nor one whose terms cannot be read: it alone waits, and is billed when they can", async () => {
    billing.at("2027-08-10T00:00:00.000Z");
    const [account, well] = [await billing.newAccount("pro"), await billing.newAccount("pro")];
    const discounts = [{ name: "d", percent: "much" }];
    const terms = { account, starts_at: new Date("2027-08-10T00:00:00.000Z"), created_at: new Date("2027-08-10T00:00:00.000Z") };
    await t.engine.db
      .insertInto("billing_terms")
      .values({ ...terms, terms: { discounts, taxes: [] } })
      .execute();
    billing.at("2027-09-01T00:00:00.000Z");
    await billing.run();
    expect(await billing.invoicesOf(account)).toEqual([]);
    expect(await billing.invoicesOf(well)).toHaveLength(1);
    const parked = async () => (await t.send("GET", "/v1/invoices/parked")).body["parkedAccounts"];
    expect(await parked()).toContainEqual(expect.objectContaining({ account, reason: expect.stringContaining("billing terms") }));
    await t.engine.db.deleteFrom("billing_terms").where("account", "=", account).execute();
    expect(await billing.run()).toMatchObject({ drafted: 1 });
    expect(await parked()).not.toContainEqual(expect.objectContaining({ account }));
    expect(await billing.invoicesOf(account)).toHaveLength(1);
  });
});

describe("a line explained", () => {
  it("walks to the hours, which add up to it, through a change of plan and a correction", async () => {
    billing.at("2027-09-01T00:00:00.000Z");
    const account = await billing.newAccount("free");
    billing.at("2027-09-05T10:15:00.000Z");
    await billing.use(account, { state_requests: 600 });
    await t.check({ account, service: "s", namespace: "Room", object: "o", storageBytes: { set: 900_000_000 } });
    billing.at("2027-09-05T10:20:00.000Z");
    await billing.change(account, "pro");
    await billing.use(account, { state_requests: 1_200_000 });
    billing.at("2027-09-05T11:00:00.000Z");
    for (let object = 0; object < 2; object++)
      await t.check({ account, service: "s", namespace: "Room", object: `p${object}`, storageBytes: { set: 10_000_000_000 } });
    await billing.use(account, { state_requests: 400_000 });
    billing.at("2027-09-20T23:59:59.999Z");
    await billing.use(account, { state_requests: 100_000 });
    await billing.correct(account, -50_000, "2027-09-20T12:00:00.000Z", "c");
    billing.at("2027-10-02T00:00:00.000Z");
    await billing.run();
    const [invoice] = await billing.invoicesOf(account);
    const explained = async (meter: string) => {
      const at = invoice!.lines.findIndex((line) => line.meter === meter) + 1;
      return (await t.send("GET", `/v1/invoices/${invoice!.id}/lines/${at}`)).body;
    };
    expect(await explained("state_requests")).toMatchObject({
      agrees: true,
      reckonedUsdMicros: 97_500, // 1,700,000 − 50,000 − 1,000,000 = 650,000 × 0.15
      line: { quantity: 1_650_000, amountUsdMicros: 97_500 },
      ledger: {
        quantity: 1_700_000,
        hours: [
          { start: "2027-09-05T10:00:00.000Z", quantity: 1_200_000 },
          { start: "2027-09-05T11:00:00.000Z", quantity: 400_000 },
          { start: "2027-09-20T23:00:00.000Z", quantity: 100_000 },
        ],
        days: [
          { start: "2027-09-05T00:00:00.000Z", quantity: 1_600_000 },
          { start: "2027-09-20T00:00:00.000Z", quantity: 100_000 },
        ],
        corrections: [{ id: "correction_1", quantity: -50_000, reason: "counted twice" }],
        bookedSince: 0,
      },
    });
    const storage = await explained("state_sqlite_storage_bytes");
    const ledger = storage["ledger"] as unknown as { quantity: string; hours: { quantity: number }[] };
    // From 10:20 to 11:00 900 MB, from then to the month's end 20.9 GB.
    const expected =
      900_000_000n * 2_400_000n + 20_900_000_000n * BigInt(Date.parse("2027-10-01T00:00:00Z") - Date.parse("2027-09-05T11:00:00Z"));
    expect(BigInt(ledger.quantity)).toBe(expected);
    expect(ledger.hours.reduce((sum, hour) => sum + BigInt(hour.quantity), 0n)).toBe(expected);
    expect(storage).toMatchObject({ agrees: true, ledger: { unit: "byte-ms", bookedSince: 0 } });
    await billing.lateUsage(account, "2027-09-30T05:00:00.000Z", 7);
    expect(await explained("state_requests")).toMatchObject({ agrees: true, ledger: { quantity: 1_700_007, bookedSince: 7 } });
  });
});

it("is priced by the catalogue its month began with, and the next by the next", async () => {
  billing.at("2027-11-01T00:00:00.000Z");
  const account = await billing.newAccount("pro");
  await billing.use(account, { state_requests: 2_000_000 });
  billing.at("2027-11-15T00:00:00.000Z");
  const pro = t.engine.catalog.plans.find(({ key }) => key === "pro");
  const dearer = { ...pro?.charges, state_requests: { model: "per_unit", unitSize: 1_000_000, priceUsdMicros: "300000" } };
  await t.engine.applyCatalog({ plans: [{ ...pro, subscriptionUsdMicrosPerMonth: 7_000_000, charges: dearer }] });
  billing.at("2027-12-01T00:00:00.000Z");
  await billing.use(account, { state_requests: 2_000_000 });
  await billing.run();
  expect(amounts((await billing.invoicesOf(account))[0])).toEqual([
    ["subscription", null, 7_000_000],
    ["usage", "state_requests", 150_000],
  ]);
  expect(amounts(await billing.upcoming(account))).toEqual([
    ["subscription", null, 7_000_000],
    ["usage", "state_requests", 300_000],
  ]);
});

it("many at once, from several processes, make one invoice a month and no number twice", async () => {
  billing.at("2028-03-01T00:00:00.000Z");
  const accounts: string[] = [];
  for (let i = 0; i < 12; i++) accounts.push(await billing.newAccount("pro"));
  billing.at("2028-04-02T00:00:00.000Z");
  const others = await Promise.all([t.another(), t.another()]);
  await Promise.all([t.engine, ...others, t.engine].map((engine) => engine.invoices.run(t.clock.now())));
  const found = (await Promise.all(accounts.map((account) => billing.invoicesOf(account)))).flat();
  expect(found).toHaveLength(24);
  expect(new Set(found.map(({ number }) => number)).size).toBe(24);
  expect((await checkInvariants(t.engine.db, t.clock.now())).filter(({ violations }) => violations.length > 0)).toEqual([]);
});
