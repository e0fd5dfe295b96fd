import { z } from "zod";
import type { Engine } from "../../engine.ts";
import { WeirError } from "../../kernel/errors.ts";
import { ACCOUNT_PATTERN } from "../../kernel/ids.ts";
import { iso } from "../../kernel/window.ts";
import { PROVIDERS } from "../../payments/adapter.ts";
import { HAND_OVER_STATES, type HandOver } from "../../payments/hand-over-store.ts";
import type { App } from "../app.ts";
import { allow, open } from "../auth.ts";
import { invoiceParams, seenBy } from "./invoices.ts";
import { requireAccount } from "./notifications.ts";

const tags = ["payments"];
const SIGNATURE_HEADER = "stripe-signature";
/** Stripe's largest events have some 100 kB. */
const WEBHOOK_BYTES_MAX = 512 * 1024;

const instant = z.iso.datetime();
const handOverSchema = z
  .object({
    account: z.string(),
    invoice: z.string(),
    provider: z.enum(PROVIDERS),
    state: z.enum(HAND_OVER_STATES),
    externalId: z.string().nullable(),
    attempts: z.int(),
    nextAttemptAt: instant.nullable(),
    error: z.string().nullable(),
    createdAt: instant,
    handedOverAt: instant.nullable(),
    settledAt: instant.nullable(),
  })
  .meta({ id: "HandOver" });

/** Stripe's ids are `cus_…`; whoever collects by hand may use any number or name. */
const CUSTOMER_PATTERN = /^[\x21-\x7e]{1,200}$/;
const customerSchema = z.object({ provider: z.enum(PROVIDERS), customer: z.string(), createdAt: instant }).meta({ id: "PaymentCustomer" });

const at = (ms: number | null): string | null => (ms === null ? null : iso(ms));

const answer = (found: HandOver): z.infer<typeof handOverSchema> => ({
  ...found,
  nextAttemptAt: at(found.nextAttemptAt),
  createdAt: iso(found.createdAt),
  handedOverAt: at(found.handedOverAt),
  settledAt: at(found.settledAt),
});

/** Where invoices stand with whoever collects the money. */
export function handOverRoutes(app: App, engine: Engine): void {
  const admin = allow("admin");
  app.route({
    method: "GET",
    url: "/v1/invoices/:invoice/hand-over",
    ...admin,
    schema: {
      tags,
      summary: "Where an invoice stands with whoever collects the money",
      description:
        "`pending`: something is to be told there; `handed_over`: it is collected there; `settled`: nothing is left to collect; `failed`: " +
        "it was refused, or not answered for nine days, and waits for a retry. 404 where nobody is told of it.",
      params: invoiceParams,
      response: { 200: handOverSchema },
    },
    handler: async (request) => {
      const { account, id } = await engine.invoices.find(request.params.invoice, seenBy(request), engine.clock.now());
      return answer(await engine.payments.find(account, id));
    },
  });

  app.route({
    method: "POST",
    url: "/v1/invoices/:invoice/hand-over",
    ...admin,
    schema: {
      tags,
      summary: "Try a hand-over that failed, or that waits, again with the worker's next run",
      description: "Nothing is handed over twice, however often it is tried.",
      params: invoiceParams,
      response: { 200: handOverSchema },
    },
    handler: async (request) => {
      const { account, id } = await engine.invoices.find(request.params.invoice, seenBy(request), engine.clock.now());
      return answer(await engine.payments.retry(account, id));
    },
  });
}

/** Whom accounts are at providers. */
export function paymentCustomerRoutes(app: App, engine: Engine): void {
  const admin = allow("admin");
  const params = z.object({ account: z.string().regex(ACCOUNT_PATTERN) });
  const answered = { 200: z.object({ customers: z.array(customerSchema) }) };
  const known = async (account: string) => {
    const customers = await engine.payments.customers(account);
    return { customers: customers.map((one) => ({ ...one, createdAt: iso(one.createdAt) })) };
  };

  app.route({
    method: "GET",
    url: "/v1/accounts/:account/payment-customers",
    ...admin,
    schema: { tags, summary: "Whom an account is at each provider that knows it", params, response: answered },
    handler: async (request) => {
      await requireAccount(engine, request.params.account);
      return known(request.params.account);
    },
  });

  app.route({
    method: "PUT",
    url: "/v1/accounts/:account/payment-customers/:provider",
    ...admin,
    schema: {
      tags,
      summary: "Say which customer of a provider's an account is, before anything of it is handed over",
      description:
        "Where nobody says, one is made with the first invoice. A customer that is known already stays: another one is `409 conflict`.",
      params: params.extend({ provider: z.enum(PROVIDERS) }),
      body: z.strictObject({ customer: z.string().regex(CUSTOMER_PATTERN) }),
      response: answered,
    },
    handler: async (request) => {
      const { account, provider } = request.params;
      await requireAccount(engine, account);
      await engine.payments.nameCustomer(account, provider, request.body.customer);
      return known(account);
    },
  });
}

/** What providers tell. To be registered as a plugin: its bodies are taken as the bytes they are, which are signed. */
export async function paymentWebhookRoutes(app: App, { engine }: { engine: Engine }): Promise<void> {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser("application/json", { parseAs: "buffer", bodyLimit: WEBHOOK_BYTES_MAX }, (_request, body, done) =>
    done(null, body),
  );
  app.route({
    method: "POST",
    url: "/v1/payments/stripe/webhook",
    ...open,
    bodyLimit: WEBHOOK_BYTES_MAX,
    schema: {
      tags,
      summary: "For Stripe alone: tells of payments, signed; `invoice.paid` marks the invoice as paid",
      description:
        "Needs no key, but Stripe's signature, at most five minutes old. The same event again changes nothing. 404 unless configured.",
      consumes: ["application/json"],
      response: { 200: z.object({ received: z.literal(true) }) },
    },
    handler: async (request) => {
      const signature = request.headers[SIGNATURE_HEADER];
      if (typeof signature !== "string" || !Buffer.isBuffer(request.body))
        throw new WeirError("bad_request", `A webhook comes as application/json, with the header ${SIGNATURE_HEADER}.`);
      await engine.payments.receive("stripe", request.body, signature);
      return { received: true as const };
    },
  });
}
