import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { Api } from "../../src/cli/api.ts";
import { sendChecks, type Check } from "../../src/cli/replay/check-sender.ts";
import { exchangeWithRetry } from "../../src/cli/replay/retry.ts";

/** A server that answers from a list: a status with a body, or `hang up`. The last one stays. */
type Answer = { status: number; body: unknown } | "hang up";

let server: Server;
let api: Api;
let answers: Answer[] = [];
let bodies: string[] = [];

const connection = (url: string): Api => new Api({ url, key: "k", account: "a", credentialsFile: "", keyWithheldFor: null });

beforeAll(async () => {
  server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      bodies.push(Buffer.concat(chunks).toString());
      const answer = answers.length > 1 ? answers.shift() : answers[0];
      if (answer === undefined || answer === "hang up") response.destroy();
      else response.writeHead(answer.status, { "content-type": "application/json" }).end(JSON.stringify(answer.body));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  api = connection(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
});
afterAll(() => new Promise<void>((resolve) => server.close(() => resolve())));
beforeEach(() => {
  bodies = [];
});

const unavailable: Answer = { status: 503, body: { code: "unavailable", message: "Not now." } };
const check = (n: number): Check => ({ account: "a", service: "s", usage: { state_requests: 1 }, idempotencyKey: `key-${n}` });
const allowed = { allowed: true, denials: [] };

describe("a batch of checks", () => {
  test("is sent again under the same keys after a 503 and after a lost answer", async () => {
    answers = [unavailable, "hang up", { status: 200, body: { decisions: [allowed, allowed] } }];
    const results = await sendChecks(api, [check(1), check(2)]);
    expect(results.map((r) => r.outcome.type)).toEqual(["allowed", "allowed"]);
    expect(bodies).toHaveLength(3);
    expect(new Set(bodies).size).toBe(1);
    expect(bodies[0]).toContain("key-1");
  });

  test("asks again only for those that could not be decided", async () => {
    const open = { error: { code: "unavailable", message: "Not now." } };
    const denied = { allowed: false, denials: [{ code: "limit_exceeded", meter: "state_requests" }] };
    answers = [
      { status: 200, body: { decisions: [allowed, open, denied] } },
      { status: 200, body: { decisions: [allowed] } },
    ];
    const results = await sendChecks(api, [check(1), check(2), check(3)]);
    expect(results.map((r) => r.outcome)).toEqual([
      { type: "allowed", usage: { state_requests: 1 } },
      { type: "allowed", usage: { state_requests: 1 } },
      { type: "denied", reasons: ["limit_exceeded state_requests"] },
    ]);
    expect(bodies[1]).toContain("key-2");
    expect(bodies[1]).not.toContain("key-1");
  });

  test("one that is not understood is refused, and counted as nothing", async () => {
    answers = [{ status: 200, body: { decisions: [{ error: { code: "validation_failed", message: "No." } }] } }];
    expect((await sendChecks(api, [check(1)]))[0]?.outcome).toEqual({ type: "refused", reason: "validation_failed" });
  });

  test("an unknown account ends everything", async () => {
    answers = [{ status: 404, body: { code: "not_found", message: "Account a was not found." } }];
    await expect(sendChecks(api, [check(1)])).rejects.toThrow("Account a was not found.");
  });
});

describe("a State call", () => {
  test.each<[string, Answer]>([
    ["a 503", unavailable],
    ["a lost answer", "hang up"],
  ])("is not sent again after %s: it may have counted", async (_what, answer) => {
    answers = [answer, { status: 200, body: {} }];
    expect(await exchangeWithRetry(api, "PUT", "/v1/x", { body: {} }, "only if never sent")).toBeNull();
    expect(bodies).toHaveLength(1);
  });

  test("is sent again when it was asked to slow down: nothing was decided", async () => {
    answers = [
      { status: 429, body: { code: "rate_limited", message: "Slower." } },
      { status: 200, body: { ok: 1 } },
    ];
    expect(await exchangeWithRetry(api, "PUT", "/v1/x", { body: {} }, "only if never sent")).toEqual({ status: 200, body: { ok: 1 } });
  });

  test("that is denied is an answer, not a reason to try again", async () => {
    answers = [{ status: 429, body: { code: "limit_exceeded", message: "Denied.", denials: [] } }];
    expect(await exchangeWithRetry(api, "PUT", "/v1/x", { body: {} }, "only if never sent")).toMatchObject({ status: 429 });
    expect(bodies).toHaveLength(1);
  });

  test.each([401, 403])("with a key that is not accepted (%d) ends everything", async (status) => {
    answers = [{ status, body: { code: status === 401 ? "unauthorized" : "forbidden", message: "Not you." } }];
    await expect(exchangeWithRetry(api, "PUT", "/v1/x", {}, "only if never sent")).rejects.toThrow("Not you.");
  });
});
