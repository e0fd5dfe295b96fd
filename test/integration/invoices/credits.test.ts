import postgres from "postgres";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openTestApp, type Answer, type TestApp } from "../../support/app.ts";
import { amounts, Billing } from "../../support/billing.ts";
import { NOON } from "../../support/engine.ts";

let t: TestApp;
let billing: Billing;
let sql: postgres.Sql;
beforeAll(async () => {
  t = await openTestApp();
  sql = postgres(t.stack.databaseUrl, { max: 1, onnotice: () => {} });
  billing = new Billing(t);
});
afterAll(async () => {
  await sql.end();
  await t.stop();
});

/** Each test has a year of its own: time goes forward only. */
let year = 2027;
/** Stands the clock at midnight of a day of the year, such as "04-11". */
const at = (day: string) => billing.at(`${year}-${day}T00:00:00.000Z`);
let keys = 0;
const grant = (account: string, amountUsdMicros: number, more: object = {}): Promise<Answer> =>
  t.send("POST", "/v1/credits", { account, body: { amountUsdMicros, idempotencyKey: `key ${(keys += 1)}`, ...more } });
const idOf = (made: Answer): string => String(made.body["id"]);
const credit = async (account: string, id: string) => (await t.send("GET", `/v1/credits/${id}`, { account })).body;
const violations = async () => (await t.engine.checkInvariants()).filter((c) => c.violations.length > 0);

/** A new account on Pro, as April of the next year begins. */
async function onPro(): Promise<string> {
  year += 1;
  at("04-01");
  return billing.newAccount("pro");
}

describe("granting", () => {
  it("answers the grant, once a key; a list with what is left; nothing of another account's", async () => {
    const account = await billing.newAccount("pro");
    const body = { amountUsdMicros: 5_000_000, idempotencyKey: "order 7", costBasis: "0.8", expiresAt: "2028-01-01T00:00:00.000Z" };
    const made = await t.send("POST", "/v1/credits", { account, body });
    expect(made).toMatchObject({
      status: 201,
      body: {
        account,
        name: "Prepaid credits",
        kind: "paid",
        state: "active",
        currency: "USD",
        amountUsdMicros: 5_000_000,
        burnedUsdMicros: 0,
        remainingUsdMicros: 5_000_000,
        priority: 50,
        effectiveAt: NOON,
        expiresAt: "2028-01-01T00:00:00.000Z",
        costBasis: "0.8",
        madeBy: "operator",
        voidedAt: null,
      },
    });
    expect(await t.send("POST", "/v1/credits", { account, body })).toMatchObject({ status: 201, body: made.body });
    const other = await t.send("POST", "/v1/credits", { account, body: { ...body, amountUsdMicros: 1 } });
    expect(other).toMatchObject({ status: 409, body: { code: "idempotency_mismatch" } });
    const gift = await grant(account, 70, { kind: "promotional", currency: "EUR" });
    const tenant = await t.key("account", account);
    expect((await t.send("GET", "/v1/credits?limit=1", { key: tenant })).body).toMatchObject({
      credits: [{ id: gift.body["id"], costBasis: "0" }],
      balances: [
        { currency: "EUR", remainingUsdMicros: 70 },
        { currency: "USD", remainingUsdMicros: 5_000_000 },
      ],
      nextCursor: expect.any(String),
    });
    const stranger = await t.key("account", await t.newAccount("free"));
    expect((await t.send("GET", `/v1/credits/${idOf(made)}`, { key: stranger })).status).toBe(404);
    expect((await t.send("POST", "/v1/credits", { key: tenant, body })).status).toBe(403);
  });

  it.each([
    ["nothing", { amountUsdMicros: 0 }, "validation_failed"],
    ["a fraction", { amountUsdMicros: 0.5 }, "validation_failed"],
    ["a priority of 101", { amountUsdMicros: 1, priority: 101 }, "validation_failed"],
    ["an expiry before it is in force", { amountUsdMicros: 1, expiresAt: NOON }, "validation_failed"],
    ["a cost basis in floating point", { amountUsdMicros: 1, costBasis: "8e-1" }, "validation_failed"],
  ])("refuses %s, and changes nothing", async (_what, more, code) => {
    const account = await billing.newAccount("pro");
    expect((await grant(account, 1, more)).body["code"]).toBe(code);
    expect((await t.send("GET", "/v1/credits", { account })).body["credits"]).toEqual([]);
  });

  it("is no larger than what a hundred of can be shown in all", async () => {
    const account = await billing.newAccount("pro");
    const most = Math.floor(Number.MAX_SAFE_INTEGER / 100);
    expect(await grant(account, most + 1)).toMatchObject({ status: 400, body: { code: "validation_failed" } });
    for (let i = 0; i < 100; i++) expect((await grant(account, most)).status).toBe(201);
    expect((await t.send("GET", "/v1/credits", { account })).body["balances"]).toEqual([
      { currency: "USD", remainingUsdMicros: 100 * most },
    ]);
  });

  it("and another's end wait for one another, in one order: neither fails, however many come at once", async () => {
    const account = await billing.newAccount("pro");
    await grant(account, 1_000);
    await t.engine.invoices.watchCredits(t.clock.now());
    for (let round = 0; round < 8; round++) {
      const made = await Promise.all(Array.from({ length: 6 }, () => grant(account, 1_000)));
      const ends = made.map((one) => t.send("DELETE", `/v1/credits/${idOf(one)}`, { account }));
      const more = Array.from({ length: 6 }, () => grant(account, 1_000));
      const answers = await Promise.all([...ends, ...more]);
      expect(answers.map(({ status }) => status)).toEqual([...Array<number>(6).fill(200), ...Array<number>(6).fill(201)]);
    }
  });

  it("keeps at most 100 in use; one that is void makes room", async () => {
    const account = await billing.newAccount("pro");
    const all = await Promise.all(Array.from({ length: 101 }, () => grant(account, 1)));
    const [refused, ...rest] = all.filter(({ status }) => status !== 201);
    expect([refused?.body["code"], rest]).toEqual(["conflict", []]);
    const first = all.find(({ status }) => status === 201);
    const voided = await t.send("DELETE", `/v1/credits/${idOf(first!)}`, { account });
    expect(voided.body).toMatchObject({ state: "voided", remainingUsdMicros: 0 });
    expect((await t.send("DELETE", `/v1/credits/${idOf(first!)}`, { account })).body).toEqual(voided.body);
    expect((await grant(account, 1)).status).toBe(201);
  });
});

describe("burning", () => {
  it("usage is paid with credits before money: estimate, upcoming, draft and final agree, and each grant knows who burned it", async () => {
    const account = await onPro();
    const late = await grant(account, 50_000, { name: "Late", expiresAt: `${year}-06-01T00:00:00Z` });
    const soon = await grant(account, 20_000, { name: "Soon", expiresAt: `${year}-05-01T00:00:00Z` });
    const euro = await grant(account, 1_000_000, { currency: "EUR", priority: 0 });
    const over = await grant(account, 1_000_000, { name: "Over before the month ends", priority: 0, expiresAt: `${year}-04-30T00:00:00Z` });
    at("04-11");
    await billing.use(account, { state_requests: 1_500_000 }); // 500,000 × 0.15 = 75,000
    billing.at(`${year}-04-30T23:59:59.999Z`);
    const { body } = await t.send("GET", "/v1/usage", { account });
    expect(body["billingEstimate"]).toMatchObject({
      currentMonthOverageUsdMicros: 75_000,
      creditsAppliedUsdMicros: 70_000,
      estimatedMonthlyTotalUsdMicros: 5_005_000,
    });
    const last = await billing.upcoming(account);
    expect(amounts(last)).toEqual([
      ["subscription", null, 5_000_000],
      ["usage", "state_requests", 75_000],
      ["credit", null, -20_000],
      ["credit", null, -50_000],
    ]);
    at("05-01");
    await billing.run();
    const [draft] = await billing.invoicesOf(account);
    expect(draft).toEqual(last);
    // Nothing is burned before the invoice is final.
    expect(await credit(account, idOf(soon))).toMatchObject({ burnedUsdMicros: 0, burns: [] });
    at("05-02");
    await billing.run();
    const [final] = await billing.invoicesOf(account);
    expect(final).toMatchObject({ state: "finalized", lines: draft?.lines, totalUsdMicros: 5_005_000, creditsAppliedUsdMicros: 70_000 });
    expect(await credit(account, idOf(soon))).toMatchObject({ state: "used_up", burns: [{ invoice: final?.id, amountUsdMicros: 20_000 }] });
    expect(await credit(account, idOf(late))).toMatchObject({ state: "used_up", remainingUsdMicros: 0 });
    expect(await credit(account, idOf(euro))).toMatchObject({ remainingUsdMicros: 1_000_000, burns: [] });
    expect(await credit(account, idOf(over))).toMatchObject({ state: "expired", burns: [] });
    await billing.run();
    expect(await violations()).toEqual([]);
  });

  it("the months of an account burn one after the other, also when they are closed in one run, twice and at once", async () => {
    const account = await onPro();
    const made = await grant(account, 100_000);
    await billing.use(account, { state_requests: 1_400_000 }); // 60,000
    at("05-10");
    await billing.use(account, { state_requests: 1_400_000 });
    at("06-01");
    await billing.run();
    const applied = async () =>
      (await billing.invoicesOf(account)).map((invoice) => (invoice as unknown as Record<string, unknown>)["creditsAppliedUsdMicros"]);
    // May is a draft, and leaves to April what April is about to burn.
    expect(await applied()).toEqual([40_000, 60_000, 0]);
    at("06-02");
    await Promise.all([billing.run(), billing.run(), billing.run()]);
    expect(await applied()).toEqual([40_000, 60_000, 0]);
    expect(await credit(account, idOf(made))).toMatchObject({
      remainingUsdMicros: 0,
      burns: [{ amountUsdMicros: 40_000 }, { amountUsdMicros: 60_000 }],
    });
    expect(await violations()).toEqual([]);
  });

  it("a void invoice gives back what it burned; a void grant pays for nothing, and what was burned of it stays so", async () => {
    const account = await onPro();
    const made = await grant(account, 100_000);
    await billing.use(account, { state_requests: 1_200_000 }); // 30,000
    at("05-02");
    await billing.run();
    const [invoice] = await billing.invoicesOf(account);
    expect(await credit(account, idOf(made))).toMatchObject({ remainingUsdMicros: 70_000 });
    for (let i = 0; i < 2; i++) expect((await t.send("POST", `/v1/invoices/${invoice?.id}/void`, { account })).status).toBe(200);
    expect(await credit(account, idOf(made))).toMatchObject({
      remainingUsdMicros: 100_000,
      burns: [{ amountUsdMicros: -30_000 }, { amountUsdMicros: 30_000 }],
    });
    await billing.use(account, { state_requests: 1_200_000 });
    expect(amounts(await billing.upcoming(account))).toContainEqual(["credit", null, -30_000]);
    await t.send("DELETE", `/v1/credits/${idOf(made)}`, { account });
    expect(amounts(await billing.upcoming(account)).map(([kind]) => kind)).not.toContain("credit");
    expect(await violations()).toEqual([]);
  });

  it("what is not there any more when an invoice becomes final is not burned: it stays a draft until it is composed again", async () => {
    const account = await onPro();
    const made = await grant(account, 100_000);
    await billing.use(account, { state_requests: 1_200_000 });
    at("05-01");
    await billing.run();
    const [draft] = await billing.invoicesOf(account);
    // As a process would that composed the invoice before the grant was void.
    await t.send("DELETE", `/v1/credits/${idOf(made)}`, { account });
    const rows = await sql`
      select * from weir_finalize_invoices(array[${account}], array[${`${year}-05-01`}::timestamptz], array['USD'],
        array[${JSON.stringify(draft?.lines)}], array[5000000::bigint], array[0::bigint], ${`${year}-05-02`})`;
    expect(rows).toHaveLength(0);
    expect((await billing.invoicesOf(account))[0]?.state).toBe("draft");
    at("05-02");
    await billing.run();
    expect((await billing.invoicesOf(account))[0]).toMatchObject({ state: "finalized", totalUsdMicros: 5_030_000 });
    expect(await violations()).toEqual([]);
  });
});

describe("telling", () => {
  const watch = async (): Promise<void> => {
    await t.engine.rollUp();
    await t.engine.invoices.watchCredits(t.clock.now());
  };
  /** Requests beyond what Pro includes, at 0.15 micro-dollars. */
  const overBy = async (account: string, requests: number): Promise<void> =>
    void (await billing.use(account, { state_requests: requests }));
  const told = async (account: string): Promise<[type: unknown, remaining: unknown][]> => {
    const { body } = await t.send("GET", "/v1/notifications", { account });
    const all = body["notifications"] as { type: string; data: Record<string, unknown> }[];
    return all
      .filter(({ type }) => type.startsWith("credits."))
      .map(({ type, data }): [unknown, unknown] => [type, data["remainingUsdMicros"]])
      .reverse();
  };

  it("each crossing once, however often and by however many it is looked at; a top-up arms it again", async () => {
    const account = await onPro();
    await grant(account, 100_000);
    await overBy(account, 1_500_000); // 75,000: a quarter is left
    await watch();
    expect(await told(account)).toEqual([]);
    await overBy(account, 40_000); // 81,000
    const other = await t.another();
    await t.engine.rollUp();
    await Promise.all([watch(), watch(), other.invoices.watchCredits(t.clock.now())]);
    expect(await told(account)).toEqual([["credits.low", 19_000]]);
    await overBy(account, 200_000); // 111,000
    await watch();
    await watch();
    const first = [
      ["credits.low", 19_000],
      ["credits.exhausted", 0],
    ];
    expect(await told(account)).toEqual(first);
    await grant(account, 1_000_000);
    await watch();
    expect(await told(account)).toEqual(first);
    await overBy(account, 5_260_000); // 900,000 of 1,100,000
    await watch();
    expect(await told(account)).toEqual([...first, ["credits.low", 200_000]]);
  });

  it("a jump over both tells both, to the endpoints that ask for it; what never was granted is not missed", async () => {
    const account = await onPro();
    const without = await billing.newAccount("pro");
    const hook = { url: "https://93.184.215.14/hook", events: ["credits.exhausted"] };
    const { body } = await t.send("POST", "/v1/webhooks", { account, body: hook });
    await grant(account, 10);
    for (const one of [account, without]) await overBy(one, 2_000_000);
    await watch();
    expect(await told(account)).toEqual([
      ["credits.low", 0],
      ["credits.exhausted", 0],
    ]);
    const { body: sent } = await t.send("GET", `/v1/webhooks/${String(body["id"])}/deliveries`, { account });
    expect(sent["deliveries"]).toMatchObject([{ type: "credits.exhausted" }]);
    expect(await told(without)).toEqual([]);
  });

  it("passes over an account whose month comes to more than can be written, and tells the others", async () => {
    const [beyond, behind] = [await onPro(), await billing.newAccount("pro")].toSorted();
    for (const account of [beyond, behind]) await grant(String(account), 10);
    const meters = t.engine.catalog.meters.filter(({ kind }) => kind === "counter");
    const most = Object.fromEntries(meters.map(({ name }) => [name, 2 ** 53 - 1_000]));
    const event = { specversion: "1.0", type: "weir.usage", source: "/most", id: "1", subject: beyond, data: { usage: most } };
    expect(await t.engine.recordEvents([event], { account: null })).toMatchObject({ accepted: 1 });
    await overBy(String(behind), 2_000_000);
    expect((await t.send("GET", "/v1/invoices/upcoming", { account: String(beyond) })).status).toBe(400);
    await watch();
    expect(await told(String(beyond))).toEqual([]);
    expect(await told(String(behind))).toEqual([
      ["credits.low", 0],
      ["credits.exhausted", 0],
    ]);
  });

  it("what was reckoned before a grant is not told after it", async () => {
    const account = await onPro();
    await grant(account, 100_000);
    await watch();
    const [{ round } = { round: 0 }] = await sql`select round from credit_standings where account = ${account}`;
    await grant(account, 100_000);
    const tell = (seen: unknown) => sql`select weir_tell_credits(${account}, ${Number(seen)}, 2, '{}'::jsonb, now()) as told`;
    expect(await tell(round)).toMatchObject([{ told: 0 }]);
    expect(await tell(Number(round) + 1)).toMatchObject([{ told: 2 }]);
  });
});

describe("the ledger of credits", () => {
  it("only grows, and a grant does not change", async () => {
    const account = await onPro();
    const id = idOf(await grant(account, 100));
    const edits = [
      `update credit_burns set amount = 1`,
      `delete from credit_burns`,
      `update credit_grants set amount = 200 where id = '${id}'`,
      `delete from credit_grants where id = '${id}'`,
    ];
    for (const edit of edits) await expect(sql.unsafe(edit)).rejects.toThrow(/only grows|does not change/);
  });
});
