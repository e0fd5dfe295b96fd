import type Stripe from "stripe";
import { z } from "zod";
import { WeirError } from "../kernel/errors.ts";
import { NotArrived, Refused, type DueInvoice, type MeterEvent, type PaymentAdapter, type ToldPayment } from "./adapter.ts";
import { itemsOf, type Item } from "./stripe-items.ts";

export interface StripeOptions {
  secretKey: string;
  /** What webhooks are signed with: `whsec_…`. */
  webhookSecret: string;
  /** Where the API is; Stripe's own unless told. */
  apiUrl: string | null;
  /** A customer has so long to pay. */
  daysUntilDue: number;
}

/** One call, real time. */
const CALL_TIMEOUT_MS = 20_000;
/** A webhook signed longer ago is an old one, sent by who has no business to. */
const WEBHOOK_TOLERANCE_S = 300;
const PAGE = 100;
/** Pages of a customer's invoices that are looked through, the newest first, for what an attempt before has left. */
const LOOKUP_PAGES_MAX = 10;

/** How Stripe says that it has counted an event of that identifier. */
const DUPLICATE = "duplicate_meter_event";
/** How Node says that no connection was made, so that nothing can have been sent. */
const UNREACHED = new Set(["ECONNREFUSED", "ENOTFOUND", "EAI_AGAIN", "EHOSTUNREACH", "ENETUNREACH"]);

/** A signed event, as far as it is looked at. */
const eventSchema = z.object({
  type: z.string(),
  data: z.object({ object: z.object({ id: z.string().optional(), metadata: z.record(z.string(), z.string()).nullish() }) }),
});

/** Loads Stripe's package, which nobody else needs. Throws one sentence where it is not installed. */
export async function openStripe({ secretKey, apiUrl, ...rest }: StripeOptions): Promise<StripePayments> {
  const { default: Client } = await import("stripe").catch((error: unknown) => {
    throw new Error("Payments by Stripe need its package: npm install stripe.", { cause: error });
  });
  const url = apiUrl === null ? null : new URL(apiUrl);
  const client = new Client(secretKey, {
    // What is not answered is tried again by the job, under the same keys.
    maxNetworkRetries: 0,
    timeout: CALL_TIMEOUT_MS,
    telemetry: false,
    appInfo: { name: "Weir" },
    ...(url && {
      host: url.hostname,
      port: url.port || (url.protocol === "https:" ? 443 : 80),
      protocol: url.protocol === "https:" ? "https" : "http",
    }),
  });
  return new StripePayments(client, Client.errors.StripeError, rest);
}

/**
 * Collects by Stripe: a customer an account, an invoice an invoice, an item a line. Stripe's answer to a key is kept for a day and repeated;
 * so a try that was not answered goes on under the same keys, and whatever a try before may have made is looked for first, however long ago.
 */
class StripePayments implements PaymentAdapter {
  readonly provider = "stripe";
  readonly #stripe: Stripe;
  readonly #answered: new (...args: never[]) => Stripe.errors.StripeError;
  readonly #options: Pick<StripeOptions, "webhookSecret" | "daysUntilDue">;

  constructor(
    stripe: Stripe,
    answered: new (...args: never[]) => Stripe.errors.StripeError,
    options: Pick<StripeOptions, "webhookSecret" | "daysUntilDue">,
  ) {
    this.#stripe = stripe;
    this.#answered = answered;
    this.#options = options;
  }

  async handOver(due: DueInvoice, remember: (customer: string) => Promise<string>): Promise<string> {
    return this.#telling(async () => {
      const customer = due.customer.id ?? (await remember(await this.#customer(due)));
      const invoice = (await this.#left(due, customer)) ?? (await this.#draft(due, customer));
      if (invoice.status !== "draft") return invoice.id;
      const items = itemsOf(due);
      await this.#addItems(due, invoice.id, customer, items);
      await this.#expectTotal(invoice.id, items);
      await this.#stripe.invoices.finalizeInvoice(invoice.id, { auto_advance: true }, key(due, "finalize"));
      return invoice.id;
    });
  }

  async withdraw(due: DueInvoice, because: "paid" | "void"): Promise<void> {
    await this.#telling(async () => {
      const invoice = await this.#present(due);
      if (!invoice) return;
      if (invoice.status === "draft") await this.#stripe.invoices.del(invoice.id);
      else if (invoice.status !== "open") return;
      else if (because === "void") await this.#stripe.invoices.voidInvoice(invoice.id, {}, key(due, "void"));
      else await this.#stripe.invoices.pay(invoice.id, { paid_out_of_band: true }, key(due, "pay"));
    });
  }

  async count({ identifier, customer, name, quantity, at }: MeterEvent): Promise<void> {
    await this.#telling(async () => {
      try {
        await this.#stripe.billing.meterEvents.create({
          event_name: name,
          identifier,
          payload: { stripe_customer_id: customer, value: String(quantity) },
          timestamp: Math.floor(at / 1_000),
        });
      } catch (error) {
        // It was counted before, and the answer lost.
        if (!(error instanceof this.#answered) || error.code !== DUPLICATE) throw error;
      }
    });
  }

  read(body: Buffer, signature: string, now: number): ToldPayment | null {
    const { type, data } = this.#verified(body, signature, now);
    const { id, metadata } = data.object;
    const invoice = metadata?.["weir_invoice"];
    return type === "invoice.paid" && id !== undefined && invoice !== undefined ? { invoice, externalId: id } : null;
  }

  #verified(body: Buffer, signature: string, now: number): z.infer<typeof eventSchema> {
    try {
      return eventSchema.parse(
        this.#stripe.webhooks.constructEvent(body, signature, this.#options.webhookSecret, WEBHOOK_TOLERANCE_S, undefined, now),
      );
    } catch (error) {
      throw new WeirError("bad_request", "The webhook's signature does not hold, or it was signed too long ago.", { cause: error });
    }
  }

  /** Made with what never changes, so that its key holds; name and mail come after. */
  async #customer(due: DueInvoice): Promise<string> {
    const { account, customer } = due;
    const known = due.tried ? await this.#knownCustomer(account) : null;
    const id = known ?? (await this.#stripe.customers.create({ metadata: { weir_account: account } }, key(due, "customer", account))).id;
    const { name, email } = customer;
    await this.#stripe.customers.update(id, { ...(name !== null && { name }), ...(email !== null && { email }) });
    return id;
  }

  async #knownCustomer(account: string): Promise<string | null> {
    const { data } = await this.#stripe.customers.search({ query: `metadata["weir_account"]:"${account}"`, limit: 1 });
    return data[0]?.id ?? null;
  }

  /** What an earlier attempt made of the invoice; null for nothing. */
  async #left(due: DueInvoice, customer: string): Promise<Stripe.Invoice | null> {
    if (due.externalId !== null) return this.#stripe.invoices.retrieve(due.externalId);
    if (!due.tried) return null;
    let after: string | undefined;
    for (let page = 0; page < LOOKUP_PAGES_MAX; page++) {
      const found = await this.#stripe.invoices.list({ customer, limit: PAGE, ...(after !== undefined && { starting_after: after }) });
      const left = found.data.find(({ metadata }) => metadata?.["weir_invoice"] === due.id);
      if (left) return left;
      after = found.data.at(-1)?.id;
      if (!found.has_more || after === undefined) return null;
    }
    throw new Refused(`The customer ${customer} has more invoices than are looked through.`, true);
  }

  async #present(due: DueInvoice): Promise<Stripe.Invoice | null> {
    if (due.externalId !== null) return this.#stripe.invoices.retrieve(due.externalId);
    const customer = due.customer.id ?? (await this.#knownCustomer(due.account));
    return customer === null ? null : this.#left({ ...due, tried: true }, customer);
  }

  #draft(due: DueInvoice, customer: string): Promise<Stripe.Invoice> {
    return this.#stripe.invoices.create(
      {
        customer,
        currency: due.currency.toLowerCase(),
        collection_method: "send_invoice",
        days_until_due: this.#options.daysUntilDue,
        // Weir says when it is complete; and what it comes to, taxes and discounts included.
        auto_advance: false,
        automatic_tax: { enabled: false },
        discounts: "",
        pending_invoice_items_behavior: "exclude",
        metadata: { weir_invoice: due.id, weir_account: due.account, weir_number: String(due.number) },
      },
      key(due, "invoice"),
    );
  }

  async #addItems(due: DueInvoice, invoice: string, customer: string, items: readonly Item[]): Promise<void> {
    const there = due.tried ? await this.#linesOf(invoice) : new Set<string>();
    for (const { line, amount, description, period } of items) {
      if (there.has(line)) continue;
      await this.#stripe.invoiceItems.create(
        {
          customer,
          invoice,
          amount,
          currency: due.currency.toLowerCase(),
          description,
          period,
          discountable: false,
          metadata: { weir_invoice: due.id, weir_line: line },
        },
        key(due, `item-${line}`),
      );
    }
  }

  async #linesOf(invoice: string): Promise<Set<string>> {
    const lines = new Set<string>();
    let after: string | undefined;
    for (let page = 0; page < LOOKUP_PAGES_MAX; page++) {
      const found = await this.#stripe.invoiceItems.list({ invoice, limit: PAGE, ...(after !== undefined && { starting_after: after }) });
      for (const { metadata } of found.data) lines.add(metadata?.["weir_line"] ?? "");
      after = found.data.at(-1)?.id;
      if (!found.has_more || after === undefined) break;
    }
    return lines;
  }

  /** Whatever the account at Stripe adds of its own is not what was billed. */
  async #expectTotal(id: string, items: readonly Item[]): Promise<void> {
    const wanted = items.reduce((sum, { amount }) => sum + amount, 0);
    const { total } = await this.#stripe.invoices.retrieve(id);
    if (total !== wanted) throw new Refused(`The draft ${id} comes to ${total} at Stripe, and to ${wanted} here; it stays a draft.`, true);
  }

  async #telling<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof this.#answered)) throw error;
      if (error.statusCode === undefined)
        throw UNREACHED.has(codeOf(error.detail)) ? new NotArrived(error.message, { cause: error }) : error;
      const { statusCode: status } = error;
      // A wrong key, a limit of calls and a fault of Stripe's pass without a change of the invoice.
      const final = status >= 400 && status < 500 && ![401, 403, 409, 429].includes(status);
      throw new Refused(`Stripe answered ${status}: ${error.message}`, final, error);
    }
  }
}

const codeOf = (fault: unknown): string =>
  typeof fault === "object" && fault !== null && "code" in fault && typeof fault.code === "string" ? fault.code : "";

/** The same for the same step of the same hand-over, until Stripe has answered that it will not. */
const key = ({ id, refusals }: DueInvoice, step: string, of = id): { idempotencyKey: string } => ({
  idempotencyKey: `weir/${of}/${step}/${refusals}`,
});
