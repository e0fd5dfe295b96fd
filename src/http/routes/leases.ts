import type { FastifyRequest } from "fastify";
import { z } from "zod";
import type { Engine } from "../../engine.ts";
import { readLeaseId } from "../../gate/lease.ts";
import { leaseRequestSchema, leaseSettleSchema } from "../../gate/lease-request.ts";
import { notFound } from "../../kernel/errors.ts";
import type { App } from "../app.ts";
import { allow, ownAccount, principalOf } from "../auth.ts";

const tags = ["leases"];
const amounts = z.record(z.string(), z.int());
const window = z.object({ start: z.iso.datetime(), end: z.iso.datetime() });

const leaseSchema = z
  .object({
    leaseId: z.string(),
    account: z.string(),
    granted: amounts.describe("All it was lent so far, by meter. What may still be spent is `granted` − `used`."),
    used: amounts.describe("All it was spent on so far, by meter."),
    windows: z.object({ day: window, month: window }).describe("Whenever it is settled, its usage counts in these."),
    expiresAt: z.iso.datetime().describe("Until when it may be spent; every settle moves it on."),
    expiresInMs: z.int().describe("The same from now on: count it from when the request was sent, on a clock that is never set."),
    epoch: z.int(),
    limitsVersion: z.int(),
    remaining: z.record(z.string(), z.int().nullable()).describe("What the limits leave beyond all that is used, lent or held."),
    ended: z.boolean().describe("Nothing more is lent on it (its hour or window is over, or it was returned): take another."),
    recall: z.boolean().describe("Somebody was denied, or a limit was lowered: give back what is not needed."),
    exceeded: z.boolean().describe("More was spent than was lent, and it passed a limit. It counts."),
    closed: z.boolean().describe("What was not spent has gone back."),
  })
  .meta({ id: "Lease" });
const params = z.object({ id: z.string().min(1).max(128) });

/** Parts of limits, lent to a process that then decides in memory. */
export function leaseRoutes(app: App, engine: Engine): void {
  app.route({
    method: "POST",
    url: "/v1/leases",
    ...allow("data_plane", "account", "admin"),
    schema: {
      tags,
      summary: "Lend a part of what the limits leave; less than is asked for may be granted, also nothing",
      body: leaseRequestSchema,
      response: { 200: leaseSchema },
    },
    handler: (request) => {
      ownAccount(request, request.body.account);
      return engine.gate.leases.grant(request.body, engine.clock.now());
    },
  });

  app.route({
    method: "POST",
    url: "/v1/leases/:id/settle",
    ...allow("data_plane", "account", "admin"),
    schema: {
      tags,
      summary: "Count what a lease was spent on so far, and lend more where `renew` asks for it",
      params,
      body: leaseSettleSchema,
      response: { 200: leaseSchema },
    },
    handler: (request) => {
      const { id } = request.params;
      requireOwn(request, id);
      return engine.gate.leases.settle(id, request.body, engine.clock.now());
    },
  });

  app.route({
    method: "DELETE",
    url: "/v1/leases/:id",
    ...allow("data_plane", "account", "admin"),
    schema: {
      tags,
      summary: "Give back what is not spent; settle first. What has expired and was not settled since stays lent (closed: false)",
      params,
      response: { 200: leaseSchema },
    },
    handler: (request) => {
      const { id } = request.params;
      requireOwn(request, id);
      return engine.gate.leases.giveBack(id, engine.clock.now());
    },
  });
}

function requireOwn(request: FastifyRequest, id: string): void {
  const name = readLeaseId(id);
  const own = principalOf(request).account;
  if (name === null || (own !== null && own !== name.account)) throw notFound(`Lease ${id}`);
}
