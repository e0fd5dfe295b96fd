import { z } from "zod";
import { accountChangeSchema, type Account } from "../../accounts/account.ts";
import { findAccount, listAccounts } from "../../accounts/account-store.ts";
import type { Engine } from "../../engine.ts";
import { notFound } from "../../kernel/errors.ts";
import { ACCOUNT_PATTERN } from "../../kernel/ids.ts";
import { iso } from "../../kernel/window.ts";
import type { App } from "../app.ts";
import { allow, ownAccount } from "../auth.ts";
import { createdCursor, encodeCursor, pageLimit, pageOf, pageQuerySchema } from "../page.ts";

const tags = ["accounts"];
const params = z.object({ account: z.string().regex(ACCOUNT_PATTERN) });

export const accountSchema = z
  .object({
    account: z.string(),
    name: z.string().nullable(),
    email: z.string().nullable(),
    plan: z.string(),
    nextPlan: z.object({ plan: z.string(), startsAt: z.iso.datetime() }).nullable(),
    billingAnchorDay: z.int(),
    timezone: z.string(),
    rateAlert: z.boolean(),
    createdAt: z.iso.datetime(),
    updatedAt: z.iso.datetime(),
  })
  .meta({ id: "Account" });

export const toAnswer = (account: Account): z.infer<typeof accountSchema> => ({
  account: account.account,
  name: account.name,
  email: account.email,
  plan: account.plan,
  nextPlan: account.nextPlan === null ? null : { plan: account.nextPlan.plan, startsAt: iso(account.nextPlan.startsAt) },
  billingAnchorDay: account.calendar.anchorDay,
  timezone: account.calendar.timezone,
  rateAlert: account.rateAlert,
  createdAt: iso(account.createdAt),
  updatedAt: iso(account.updatedAt),
});

/** Accounts, for the operator; an account's own key may read its own. */
export function accountRoutes(app: App, engine: Engine): void {
  readingRoutes(app, engine);
  changingRoutes(app, engine);
}

function readingRoutes(app: App, engine: Engine): void {
  app.route({
    method: "GET",
    url: "/v1/accounts",
    ...allow("admin"),
    schema: {
      tags,
      summary: "List accounts, newest first",
      querystring: pageQuerySchema,
      response: { 200: z.object({ accounts: z.array(accountSchema), nextCursor: z.string().nullable() }) },
    },
    handler: async (request) => {
      const limit = pageLimit(request.query);
      const after = createdCursor(request.query.cursor);
      const found = await listAccounts(engine.walled, {
        after: after && { createdAt: after.createdAt, account: after.id },
        limit: limit + 1,
        now: engine.clock.now(),
      });
      const { rows, nextCursor } = pageOf(found, limit, (last) => encodeCursor([last.createdAt, last.account]));
      return { accounts: rows.map(toAnswer), nextCursor };
    },
  });

  app.route({
    method: "GET",
    url: "/v1/accounts/:account",
    ...allow("admin", "account", "read_only"),
    schema: { tags, summary: "One account", params, response: { 200: accountSchema } },
    handler: async (request) => {
      const account = ownAccount(request, request.params.account);
      const found = await findAccount(engine.walled, account, engine.clock.now());
      if (!found) throw notFound(`Account ${account}`);
      return toAnswer(found);
    },
  });
}

function changingRoutes(app: App, engine: Engine): void {
  app.route({
    method: "PUT",
    url: "/v1/accounts/:account",
    ...allow("admin"),
    schema: {
      tags,
      summary: "Create an account, or change it; what is left out stays",
      params,
      body: accountChangeSchema,
      response: { 200: accountSchema, 201: accountSchema },
    },
    handler: async (request, reply) => {
      const { account, created } = await engine.limits.putAccount(request.params.account, request.body, engine.clock.now());
      return reply.code(created ? 201 : 200).send(toAnswer(account));
    },
  });
}
