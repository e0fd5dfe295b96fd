import type { TestApp } from "./app.ts";

export const GB = 1_000_000_000;

/** What tests read of an invoice's line. */
export interface Line {
  id: string;
  kind: string;
  meter?: string;
  description: string;
  period: { start: string; end: string };
  quantity: number;
  included: number;
  billable: number;
  unitPrice: number;
  unit: string;
  amountUsdMicros: number;
  explain: { text: string };
}

export interface Invoice {
  id: string;
  number: number | null;
  state: string;
  currency: string;
  period: { start: string; end: string };
  lines: Line[];
  subtotalUsdMicros: number;
  taxUsdMicros: number;
  totalUsdMicros: number;
  amountDueUsdMicros: number;
  finalizesAt: string;
}

/** What a line comes to, by kind and meter. */
export const amounts = (invoice: Invoice | undefined): [string, string | null, number][] =>
  (invoice?.lines ?? []).map((line) => [line.kind, line.meter ?? null, line.amountUsdMicros]);

/** Accounts that use, store and are billed, on a test app. */
export class Billing {
  readonly #t: TestApp;

  constructor(t: TestApp) {
    this.#t = t;
  }

  at(time: string): void {
    this.#t.clock.set(time);
  }

  run() {
    return this.#t.engine.invoices.run(this.#t.clock.now());
  }

  async invoicesOf(account: string): Promise<Invoice[]> {
    const { body } = await this.#t.send("GET", "/v1/invoices", { account });
    return body["invoices"] as unknown as Invoice[];
  }

  async upcoming(account: string): Promise<Invoice> {
    return (await this.#t.send("GET", "/v1/invoices/upcoming", { account })).body as unknown as Invoice;
  }

  /** A new account on a plan, with the settings it begins with. */
  async newAccount(plan: string, settings: object = {}): Promise<string> {
    const account = await this.#t.newAccount("free");
    const { status } = await this.#t.send("PUT", `/v1/accounts/${account}`, { body: { plan, ...settings } });
    if (status !== 200) throw new Error(`the account was not made: ${status}`);
    return account;
  }

  use(account: string, usage: Record<string, number>) {
    return this.#t.check({ account, usage });
  }

  /** Stores so many objects of 10 GB, or one of `gigabytes`. */
  async store(account: string, gigabytes: number): Promise<void> {
    const objects = Math.max(1, Math.floor(gigabytes / 10));
    for (let object = 0; object < objects; object++) {
      const set = gigabytes < 10 ? gigabytes * GB : 10 * GB;
      const stored = await this.#t.check({ account, service: "s", namespace: "Room", object: `o${object}`, storageBytes: { set } });
      if (!stored.allowed) throw new Error("what should be stored was denied");
    }
  }

  change(account: string, plan: string, effective = "now", more: object = {}) {
    return this.#t.send("PUT", `/v1/accounts/${account}/subscription`, { body: { plan, effective, ...more } });
  }

  correct(account: string, quantity: number, at: string, idempotencyKey: string) {
    const body = { meter: "state_requests", quantity, at, reason: "counted twice", idempotencyKey };
    return this.#t.send("POST", `/v1/accounts/${account}/corrections`, { body });
  }

  /** Books usage of a process that was away, as its own copy would. */
  async lateUsage(account: string, bucket: string, quantity: number): Promise<void> {
    const row = {
      account,
      bucket,
      meter: "state_requests",
      service: "s",
      namespace: "",
      epoch: 1n,
      source: "late",
      quantity: BigInt(quantity),
    };
    await this.#t.engine.db.insertInto("usage_buckets").values(row).execute();
  }
}
