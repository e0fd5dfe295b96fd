import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { SCOPES, type Scope } from "../../../src/accounts/api-key.ts";
import { openTestApp, type Answer, type SendOptions, type TestApp } from "../../support/app.ts";
import { belongings, ghostParty, makeParty, type Party } from "./party.ts";
import { isForTests, requestFor, routes, type Request, type Route } from "./routes.ts";

/**
 * Every route of the OpenAPI document × every key × somebody else's account and ids. What does not belong to a key answers it exactly as
 * what does not exist: the same request is sent about a ghost, and the two answers must be equal, but for the names that were asked for.
 */
const ALL = routes();

let t: TestApp;
/** Who asks, and about whom. */
let own: Party;
let victim: Party;
let ghost: Party;
const keys = new Map<Scope, string>();
let victimsKey: string;
/** What the victim had before anybody asked. */
let before: unknown[];

beforeAll(async () => {
  t = await openTestApp();
  own = await makeParty(t);
  victim = await makeParty(t);
  ghost = ghostParty();
  for (const scope of SCOPES) keys.set(scope, await t.key(scope, scope === "account" || scope === "read_only" ? own.account : undefined));
  victimsKey = await t.key("account", victim.account);
  before = await belongings(t, victim);
});
afterAll(() => t.stop());

const ask = ({ method, url, body }: Request, options: SendOptions): Promise<Answer> =>
  t.send(method, url, { ...options, ...(body === undefined ? {} : { body }) });

/** An answer with every id replaced that a request could not foretell, and every name of the party that was asked about. */
function anonymous({ status, headers, body }: Answer, about: Party): unknown {
  const text = Object.entries(about)
    .toSorted(([, a], [, b]) => b.length - a.length)
    .reduce(
      (out, [what, name]) => out.replaceAll(name, `<${what}>`).replaceAll(encodeURIComponent(name), `<${what}>`),
      JSON.stringify(body),
    )
    .replaceAll(/\b(?:state_namespace|correction)_\d+/g, "<id>")
    .replaceAll(/\b(?:crg|dec|wh|key|rsv|lse|dlv|msg)_[0-9A-Za-z_.-]{20,}/g, "<id>")
    .replaceAll(/"(?:secret|key)":"(?:whsec_|weir_)[^"]+"/g, "<secret>");
  const kept = ["content-type", "retry-after", "www-authenticate", "idempotency-hit"].map((name) => [name, headers[name]]);
  return { status, headers: Object.fromEntries(kept), text };
}

/** Asks about the victim and about the ghost, and holds the two answers together. */
async function expectNoDifference(route: Route, about: (party: Party) => Party, options: (party: Party) => SendOptions): Promise<void> {
  const [real, none] = [about(victim), about(ghost)];
  const asked = await ask(requestFor(route, real), options(real));
  const nobody = await ask(requestFor(route, none), options(none));
  expect(anonymous(asked, victim)).toEqual(anonymous(nobody, ghost));
}

const keyOf = (scope: Scope): string => keys.get(scope) ?? "";
const scopesOf = (route: Route, ...of: Scope[]): Scope[] => route.scopes.filter((scope) => of.includes(scope));
/** The account is the operator's own, and the ids are another's. */
const mixed = (party: Party): Party => ({ ...party, account: own.account });
/** The request itself, not its header, says whom it is about. */
const tells = (route: Route, about: (party: Party) => Party = (party) => party): boolean =>
  JSON.stringify(requestFor(route, about(victim))) !== JSON.stringify(requestFor(route, about(ghost)));
/** An account's key is no key of the operator's own. */
const NOT_ITS_OWN = new Set(["postKeysByIdRotate", "deleteKeysById"]);
/** Takes what its provider has signed, where one is configured. */
const SIGNED = "postPaymentsStripeWebhook";
/** Their ids name the account, and an operator's key may act for any. */
const SELF_NAMING = /^\/v1\/(?:reservations|leases)\//;
/** Answers for as long as one listens, and needs somebody who can: tried with what refuses them only. */
const ENDLESS = new Set(["getUsageStream", "getServicesByServiceStateNamespacesByNamespaceObjectsByObjectSocket"]);

const table = ALL.filter((route) => route.scopes.length > 0).map((route) => [`${route.method} ${route.path}`, route] as const);

describe.each(table)("%s", (_name, route) => {
  it("wants a key that may", async () => {
    const request = requestFor(route, own);
    const served = !isForTests(route);
    for (const key of [null, `weir_admin_${"x".repeat(20)}_${"y".repeat(30)}`]) {
      const { body } = await ask(request, { key, account: own.account });
      expect([key, body["code"]]).toEqual([key, served ? "unauthorized" : "not_found"]);
    }
    for (const scope of SCOPES.filter((s) => !route.scopes.includes(s))) {
      const { body } = await ask(request, { key: keyOf(scope), account: own.account });
      expect([scope, body["code"]]).toEqual([scope, served ? "forbidden" : "not_found"]);
    }
  });

  it("answers a tenant that names another in the header as if there were none", async () => {
    for (const scope of scopesOf(route, "account", "read_only"))
      await expectNoDifference(
        route,
        (party) => party,
        ({ account }) => ({ key: keyOf(scope), account }),
      );
  });

  it("answers a tenant that brings another's ids as if nobody had them", async () => {
    if (!tells(route)) return;
    for (const scope of scopesOf(route, "account", "read_only"))
      await expectNoDifference(
        route,
        (party) => party,
        () => ({ key: keyOf(scope) }),
      );
  });

  it("keeps one account's ids from another, for the operator too", async () => {
    if (SELF_NAMING.test(route.path) || !tells(route, mixed)) return;
    for (const scope of scopesOf(route, "admin", "data_plane"))
      await expectNoDifference(route, mixed, ({ account }) => ({ key: keyOf(scope), account }));
  });
});

it("what needs no key tells of no account", async () => {
  for (const route of ALL.filter(({ scopes, method }) => scopes.length === 0 && method === "GET")) {
    const { body } = await t.app.inject({ method: route.method, url: requestFor(route, victim).url });
    expect(body).not.toContain(victim.mark);
  }
});

describe("in the end", () => {
  it("nothing of the other account has changed", async () => {
    expect(await belongings(t, victim)).toEqual(before);
  });

  it("each request would have done something, had its own account sent it", async () => {
    const deepestLast = (a: Route, b: Route): number => a.path.length - b.path.length;
    const order = [
      ...ALL.filter((route) => route.method !== "DELETE"),
      ...ALL.filter((route) => route.method === "DELETE").toSorted((a, b) => deepestLast(b, a)),
    ];
    const failed = [];
    for (const route of order.filter((r) => !isForTests(r) && !ENDLESS.has(r.operationId) && r.operationId !== SIGNED)) {
      const tenant = route.scopes.includes("account");
      const { status, body } = await ask(requestFor(route, victim), {
        // What a page sends with a call that changes something.
        headers: { "weir-dashboard": "1" },
        ...(tenant ? { key: victimsKey } : { account: victim.account }),
      });
      if (status >= 300 && !(status === 404 && NOT_ITS_OWN.has(route.operationId)))
        failed.push([route.operationId, status, body["detail"]]);
    }
    expect(failed).toEqual([]);
  });
});
