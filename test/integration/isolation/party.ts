import { randomBase62 } from "../../../src/kernel/ids.ts";
import type { Answer, TestApp } from "../../support/app.ts";

/** An account with something of everything an account can have. Each text of it that an answer could show holds `mark`. */
export interface Party {
  mark: string;
  account: string;
  service: string;
  namespace: string;
  object: string;
  key: string;
  webhook: string;
  delivery: string;
  apiKey: string;
  secret: string;
  reservation: string;
  secondReservation: string;
  lease: string;
  secondLease: string;
  invoice: string;
  secondInvoice: string;
  credit: string;
}

/** A party as it would be named if there were one: every id is of the right shape, and nobody has it. */
export function ghostParty(): Party {
  const mark = `ghost${randomBase62(8)}`;
  return {
    ...namesOf(mark),
    webhook: `wh_${randomBase62(20)}`,
    delivery: `dlv_${randomBase62(32).toLowerCase()}`,
    apiKey: `key_${randomBase62(20)}`,
    secret: `weir_read_only_${randomBase62(20)}_${randomBase62(30)}`,
    reservation: ghostId("rsv", mark),
    secondReservation: ghostId("rsv", mark),
    lease: ghostId("lse", mark),
    secondLease: ghostId("lse", mark),
    invoice: `inv_${randomBase62(20)}`,
    secondInvoice: `inv_${randomBase62(20)}`,
    credit: `crg_${randomBase62(20)}`,
  };
}

const ghostId = (prefix: string, mark: string): string =>
  `${prefix}_${Buffer.from(`acct_${mark}`).toString("base64url")}.${randomBase62(20)}`;

const namesOf = (mark: string) => ({
  mark,
  account: `acct_${mark}`,
  service: `service-${mark}`,
  namespace: `Room${mark}`,
  object: `object-${mark}`,
  key: `entry-${mark}`,
});

/** A public address, which no test calls. */
export const PUBLIC_HOOK = "https://93.184.215.14";

/** Makes a party, through the API, as the operator. A webhook's address is public and never called: nothing is delivered here. */
export async function makeParty(t: TestApp): Promise<Party> {
  const names = partyNames();
  const ask = asking((method, url, options) => t.send(method, url, options), names.account);
  // Months ago, so that it has been billed.
  const present = t.clock.now();
  t.clock.set("2026-09-01T00:00:00.000Z");
  await putParty(ask, names);
  t.clock.set(present);
  const party = await furnish(ask, names, { rollUp: () => t.engine.rollUp(), hook: PUBLIC_HOOK });
  const { invoices } = (await ask("GET", "/v1/invoices")) as { invoices: { id: string; period: { end: string } }[] };
  const handedOver = { provider: "manual", credited: 0n, next_attempt_at: new Date(present), created_at: new Date(present) };
  for (const { id, period } of invoices)
    await t.engine.db
      .insertInto("payment_hand_overs")
      .values({ ...handedOver, account: party.account, invoice: id, period_end: period.end })
      .execute();
  return party;
}

type Method = "POST" | "PUT" | "GET";
/** Asks as the operator, about one account. Throws unless all is well. */
export type Ask = (method: Method, url: string, body?: unknown) => Promise<Record<string, unknown>>;
type Send = (method: Method, url: string, options: { account: string; body?: unknown }) => Promise<Pick<Answer, "status" | "body">>;

export function asking(send: Send, account: string): Ask {
  return async (method, url, body) => {
    const answer = await send(method, url, { account, ...(body === undefined ? {} : { body }) });
    if (answer.status >= 300) throw new Error(`${method} ${url}: ${answer.status} ${JSON.stringify(answer.body)}`);
    return answer.body;
  };
}

type Names = ReturnType<typeof namesOf>;

export const partyNames = (): Names => namesOf(`party${randomBase62(8)}`);

/** The account itself. Set the clock before: two of its months must have ended when it is furnished. */
export async function putParty(ask: Ask, { account, mark }: Names): Promise<void> {
  await ask("PUT", `/v1/accounts/${account}`, { name: `Name ${mark}`, email: `${mark}@example.com`, plan: "pro" });
}

/** Gives an account something of everything; its webhook goes below `hook`. */
export async function furnish(ask: Ask, names: Names, by: { rollUp: () => Promise<unknown>; hook: string }): Promise<Party> {
  const { mark, account, service } = names;
  await ask("POST", "/v1/invoices/run");
  const billed = await ask("GET", "/v1/invoices");
  const [invoice, secondInvoice] = (billed["invoices"] as { id: string }[]).map(({ id }) => id);
  await ask("PUT", "/v1/usage/caps/log_events", { period: "day", capValue: 7 });
  await ask("POST", "/v1/check", { account, service, usage: { log_events: 7 } });
  await by.rollUp();
  await ask("PUT", `/v1/services/${service}`, { workerUrl: `${by.hook}/${mark}` });
  const namespaces = `/v1/services/${service}/state/namespaces`;
  await ask("POST", namespaces, { name: names.namespace });
  const value = `${namespaces}/${names.namespace}/objects/${names.object}/values/${names.key}`;
  await ask("PUT", value, { value: `value ${mark}`, encoding: "text" });
  const correction = { meter: "log_events", quantity: -1, reason: `because ${mark}`, idempotencyKey: `key ${mark}` };
  await ask("POST", `/v1/accounts/${account}/corrections`, correction);
  await ask("PUT", value.replace(/\/values\/.*/, "/alarm"), { delaySeconds: 3_600 });
  const { id: apiKey, key: secret } = await ask("POST", `/v1/accounts/${account}/keys`, { scope: "read_only", name: `Key ${mark}` });
  const { id: webhook } = await ask("POST", "/v1/webhooks", { url: `${by.hook}/${mark}`, description: `Hook ${mark}` });
  const { id: delivery } = await ask("POST", `/v1/webhooks/${String(webhook)}/test`);
  const credits = { amountUsdMicros: 5_000_000, name: `Credits ${mark}`, idempotencyKey: `first ${mark}` };
  const { id: credit } = await ask("POST", "/v1/credits", credits);
  const reserve = async (): Promise<string> => {
    const { reservation } = await ask("POST", "/v1/check", { account, usage: { state_requests: 1 }, mode: "reserve", ttlSeconds: 3_600 });
    return (reservation as { id: string }).id;
  };
  const lease = async () => String((await ask("POST", "/v1/leases", { account, meters: { state_requests: 10 } }))["leaseId"]);
  return {
    ...names,
    webhook: String(webhook),
    delivery: String(delivery),
    apiKey: String(apiKey),
    secret: String(secret),
    reservation: await reserve(),
    secondReservation: await reserve(),
    lease: await lease(),
    secondLease: await lease(),
    invoice: invoice ?? "",
    secondInvoice: secondInvoice ?? "",
    credit: String(credit),
  };
}

/** All that an account has, as the operator sees it: what nobody else's request may change. */
export async function belongings(t: TestApp, { account, service, namespace, object, webhook }: Party): Promise<unknown[]> {
  const room = `/v1/services/${service}/state/namespaces`;
  const urls = [
    `/v1/accounts/${account}`,
    `/v1/accounts/${account}/keys`,
    `/v1/accounts/${account}/corrections`,
    "/v1/usage",
    "/v1/usage/objects",
    "/v1/usage/caps",
    "/v1/notifications",
    "/v1/invoices",
    "/v1/credits",
    `/v1/accounts/${account}/subscription`,
    `/v1/accounts/${account}/billing-terms`,
    "/v1/webhooks",
    `/v1/webhooks/${webhook}/deliveries`,
    `/v1/services/${service}`,
  ];
  const seen = [];
  for (const url of urls) seen.push({ url, ...(await t.send("GET", url, { account })) });
  // Looking into State is metered, so its rows are looked at, not asked for.
  const objects = await t.engine.db.selectFrom("object_levels").selectAll().where("account", "=", account).execute();
  const spaces = await t.engine.db.selectFrom("state_namespaces").selectAll().where("account", "=", account).execute();
  return [...seen.map(({ url, status, body }) => ({ url, status, body })), { room, namespace, object, objects, spaces }];
}
