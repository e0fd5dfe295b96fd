import { z } from "zod";
import { billingTermsSchema } from "../../accounts/billing-terms.ts";
import { billingTermsAt, putBillingTerms } from "../../accounts/billing-terms-store.ts";
import { listSubscriptions } from "../../accounts/subscription-store.ts";
import { subscriptionAt, subscriptionChangeSchema, type Subscription } from "../../accounts/subscription.ts";
import type { Engine } from "../../engine.ts";
import { notFound } from "../../kernel/errors.ts";
import { ACCOUNT_PATTERN } from "../../kernel/ids.ts";
import { iso } from "../../kernel/window.ts";
import type { App } from "../app.ts";
import { allow, ownAccount } from "../auth.ts";
import { accountSchema, toAnswer } from "./accounts.ts";

const tags = ["accounts"];
const params = z.object({ account: z.string().regex(ACCOUNT_PATTERN) });
const instant = z.iso.datetime();

const subscriptionSchema = z
  .object({
    plan: z.string(),
    startsAt: instant,
    endsAt: instant.nullable(),
    trialEndsAt: instant.nullable(),
    catalogVersion: z.int().nullable(),
  })
  .meta({ id: "Subscription" });

const historySchema = z.object({
  account: z.string(),
  current: subscriptionSchema.nullable(),
  planned: subscriptionSchema.nullable(),
  history: z.array(subscriptionSchema),
});

const shown = ({ plan, startsAt, endsAt, trialEndsAt, catalogVersion }: Subscription): z.infer<typeof subscriptionSchema> => ({
  plan,
  startsAt: iso(startsAt),
  endsAt: endsAt === null ? null : iso(endsAt),
  trialEndsAt: trialEndsAt === null ? null : iso(trialEndsAt),
  catalogVersion,
});

/** Entries of a history that are answered: the newest of a subscription that changed weekly for years. */
const HISTORY_MAX = 200;

/** Which plan an account has, had and will have, and the terms it is billed by. */
export function subscriptionRoutes(app: App, engine: Engine): void {
  readingRoutes(app, engine);
  changingRoutes(app, engine);
  termsRoutes(app, engine);
}

function readingRoutes(app: App, engine: Engine): void {
  app.route({
    method: "GET",
    url: "/v1/accounts/:account/subscription",
    ...allow("admin", "account", "read_only"),
    schema: {
      tags,
      summary: "The plan in force, the one that is planned, and those before",
      description: "`catalogVersion` is the catalogue the plan was taken under. `history` is oldest first; planned changes are not in it.",
      params,
      response: { 200: historySchema },
    },
    handler: async (request) => {
      const account = ownAccount(request, request.params.account);
      const now = engine.clock.now();
      const history = (await listSubscriptions(engine.walled, [account], 0)).get(account);
      if (!history) throw notFound(`Account ${account}`);
      const current = subscriptionAt(history, now);
      const planned = history.find(({ startsAt }) => startsAt > now);
      const begun = history.filter(({ startsAt }) => startsAt <= now).slice(-HISTORY_MAX);
      return { account, current: current ? shown(current) : null, planned: planned ? shown(planned) : null, history: begun.map(shown) };
    },
  });
}

function changingRoutes(app: App, engine: Engine): void {
  app.route({
    method: "PUT",
    url: "/v1/accounts/:account/subscription",
    ...allow("admin"),
    schema: {
      tags,
      summary: "Change the plan, now or when the billing month ends",
      description:
        "Now: the fee of the old plan is given back and that of the new one charged for the rest of the month, to the millisecond, on the " +
        "month's invoice. `trialDays` waives the new plan's fee for that long; what is used beyond its allowances is billed all the same.",
      params,
      body: subscriptionChangeSchema,
      response: { 200: accountSchema },
    },
    handler: async (request) => {
      const { plan, effective, trialDays } = request.body;
      return toAnswer(await engine.limits.changePlan(request.params.account, plan, effective, engine.clock.now(), trialDays));
    },
  });

  app.route({
    method: "POST",
    url: "/v1/accounts/:account/subscription/cancel",
    ...allow("admin"),
    schema: {
      tags,
      summary: "End the subscription: back to the free plan, when the billing month ends or now",
      params,
      body: z.strictObject({ effective: z.enum(["now", "period_end"]).default("period_end") }).nullish(),
      response: { 200: accountSchema },
    },
    handler: async (request) => {
      const effective = request.body?.effective ?? "period_end";
      return toAnswer(await engine.limits.cancel(request.params.account, effective, engine.clock.now()));
    },
  });

  app.route({
    method: "POST",
    url: "/v1/accounts/:account/subscription/resume",
    ...allow("admin"),
    schema: {
      tags,
      summary: "Withdraw a change or cancellation that has not begun; `conflict` where there is none",
      params,
      response: { 200: accountSchema },
    },
    handler: async (request) => toAnswer(await engine.limits.resume(request.params.account, engine.clock.now())),
  });
}

function termsRoutes(app: App, engine: Engine): void {
  const termsOf = async (account: string) => {
    const now = engine.clock.now();
    if (!(await listSubscriptions(engine.walled, [account], now)).has(account)) throw notFound(`Account ${account}`);
    const terms = (await billingTermsAt(engine.walled, [account], [now])).get(account) ?? { discounts: [], taxes: [] };
    if (terms instanceof Error) throw terms;
    return terms;
  };

  app.route({
    method: "GET",
    url: "/v1/accounts/:account/billing-terms",
    ...allow("admin", "account", "read_only"),
    schema: { tags, summary: "Discounts and taxes in force", params, response: { 200: billingTermsSchema } },
    handler: (request) => termsOf(ownAccount(request, request.params.account)),
  });

  app.route({
    method: "PUT",
    url: "/v1/accounts/:account/billing-terms",
    ...allow("admin"),
    schema: {
      tags,
      summary: "Set discounts and taxes, as a whole",
      description:
        "An invoice is reckoned with the terms in force at the end of its billing month. Discounts come off before tax, in order, never below " +
        "zero; one with `until` holds for months that end by then. An inclusive tax is contained in the prices, an exclusive one comes on top.",
      params,
      body: billingTermsSchema,
      response: { 200: billingTermsSchema },
    },
    handler: async (request) => {
      const { account } = request.params;
      if (!(await putBillingTerms(engine.walled, account, request.body, engine.clock.now()))) throw notFound(`Account ${account}`);
      return request.body;
    },
  });
}
