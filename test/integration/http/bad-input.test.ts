import { spawn } from "node:child_process";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ADMIN_KEY, openTestApp, type SendOptions, type TestApp } from "../../support/app.ts";

let t: TestApp;
beforeAll(async () => {
  t = await openTestApp();
});
afterAll(() => t.stop());

const usedOf = async (account: string) => (await t.engine.usage(account)).usage.meters.day["state_requests"];

describe("bad input to a check", () => {
  const check = (usage: string, more = "") => `{"account":"ACCOUNT","usage":{"state_requests":${usage}}${more}}`;
  const table: [name: string, body: string, status: number, code: string][] = [
    ["no JSON", "{", 400, "invalid_json"],
    ["an empty body", "", 400, "invalid_json"],
    ["a poisoned prototype", '{"account":"ACCOUNT","__proto__":{"admin":true}}', 400, "invalid_json"],
    ["an array", "[]", 400, "validation_failed"],
    ["nothing to count", '{"account":"ACCOUNT"}', 400, "validation_failed"],
    ["a negative quantity", check("-1"), 400, "validation_failed"],
    ["a fraction", check("1.5"), 400, "validation_failed"],
    ["text for a number", check('"5"'), 400, "validation_failed"],
    ["true for a number", check("true"), 400, "validation_failed"],
    ["null for a number", check("null"), 400, "validation_failed"],
    ["2^53", check("9007199254740992"), 400, "validation_failed"],
    ["1e400", check("1e400"), 400, "validation_failed"],
    ["a meter that is none", '{"account":"ACCOUNT","usage":{"no_such_meter":1}}', 400, "validation_failed"],
    ["a gauge as a counter", '{"account":"ACCOUNT","usage":{"state_sqlite_storage_bytes":1}}', 400, "validation_failed"],
    ["an unknown member", check("1", ',"quantity":1'), 400, "validation_failed"],
    ["an unknown mode", check("1", ',"mode":"maybe"'), 400, "validation_failed"],
    ["a namespace in lower case", check("1", ',"namespace":"room"'), 400, "validation_failed"],
    ["an object with a slash", check("1", ',"object":"a/b"'), 400, "validation_failed"],
    ["an object with NUL", check("1", ',"object":"a\\u0000b"'), 400, "validation_failed"],
    ["an object with half a surrogate pair", check("1", ',"object":"\\ud800"'), 400, "validation_failed"],
    ["an object of 513 characters", check("1", `,"object":"${"x".repeat(513)}"`), 400, "validation_failed"],
    ["two kinds of storage", check("1", ',"storageBytes":{"delta":1,"set":1}'), 400, "validation_failed"],
    ["a time to live of 0", check("1", ',"mode":"reserve","ttlSeconds":0'), 400, "validation_failed"],
    ["an account that does not exist", '{"account":"acct_nobody","usage":{"state_requests":1}}', 404, "not_found"],
    ["an account with a space", '{"account":"a b","usage":{"state_requests":1}}', 400, "validation_failed"],
    ["a body over a mebibyte", `{"account":"${"x".repeat(1_100_000)}"}`, 413, "payload_too_large"],
  ];

  it.each(table)("%s", async (_name, body, status, code) => {
    const account = await t.newAccount();
    const answer = await t.send("POST", "/v1/check", {
      body: body.replace("ACCOUNT", account),
      headers: { "content-type": "application/json" },
    });
    expect(answer).toMatchObject({ status, body: { code, status } });
    expect(answer.headers["content-type"]).toMatch(/^application\/problem\+json/);
    expect(Object.keys(answer.body)).toEqual(
      expect.arrayContaining(["type", "title", "detail", "instance", "message", "agent_instruction", "docs_url"]),
    );
    expect(await usedOf(account)).toBe(0);
  });

  it("says what a change of stored bytes may be, and once what a page may hold", async () => {
    const account = await t.newAccount();
    const { body } = await t.send("POST", "/v1/check", { body: { account, storageBytes: { delta: 1, set: 1 } } });
    expect(body).toMatchObject({
      errors: [{ path: "storageBytes", message: expect.stringContaining('{ "delta": bytes } or { "set": bytes }') }],
    });
    const page = await t.send("GET", "/v1/accounts?limit=1001");
    expect(page.body).toMatchObject({ errors: [{ path: "limit", message: "must be 1 to 1000" }] });
  });

  it("takes 0, −0, 1e3 and 1.0 for the integers they are", async () => {
    const account = await t.newAccount();
    for (const quantity of ["0", "-0", "1e3", "1.0"]) {
      const { status } = await t.send("POST", "/v1/check", { body: check(quantity).replace("ACCOUNT", account) });
      expect(status).toBe(200);
    }
    expect(await usedOf(account)).toBe(1_001);
  });

  it("names the fields that are wrong", async () => {
    const { body } = await t.send("POST", "/v1/check", { body: { account: "acct_1", usage: { state_requests: -1 } } });
    expect(body["errors"]).toMatchObject([{ path: "usage.state_requests" }]);
  });
});

describe("who may do what", () => {
  it("refuses without a key, with a wrong one, and with one that was revoked", async () => {
    const account = await t.newAccount();
    const created = await t.send("POST", `/v1/accounts/${account}/keys`, { body: { scope: "account" } });
    const key = String(created.body["key"]);
    expect((await t.send("GET", "/v1/usage", { key })).status).toBe(200);
    await t.send("DELETE", `/v1/accounts/${account}/keys/${String(created.body["id"])}`);
    for (const wrong of [null, "nonsense", `${key}x`, key]) {
      const answer = await t.send("GET", "/v1/usage", { key: wrong });
      expect(answer).toMatchObject({ status: 401, body: { code: "unauthorized" } });
    }
  });

  it("never says that someone else's account exists", async () => {
    const [own, other] = [await t.newAccount(), await t.newAccount()];
    const key = await t.key("account", own);
    const asked: [method: "GET" | "POST", url: string, options: SendOptions][] = [
      ["GET", "/v1/usage", { account: other }],
      ["GET", `/v1/accounts/${other}`, {}],
      ["POST", "/v1/check", { body: { account: other, usage: { state_requests: 1 } } }],
      ["POST", "/v1/checks", { body: { checks: [{ account: other, usage: { state_requests: 1 } }] } }],
      ["GET", "/v1/services/s/state/namespaces", { account: other }],
    ];
    for (const [method, url, options] of asked) {
      expect(await t.send(method, url, { ...options, key })).toMatchObject({ status: 404, body: { code: "not_found" } });
    }
    expect(await usedOf(other)).toBe(0);
  });

  it("tells of someone else's account in a batch in its place, and decides the others", async () => {
    const [own, other] = [await t.newAccount(), await t.newAccount()];
    const checks = [own, other, own].map((account) => ({ account, usage: { state_requests: 1 } }));
    const { status, body } = await t.send("POST", "/v1/checks", { key: await t.key("account", own), body: { checks } });
    expect({ status, body }).toMatchObject({
      status: 200,
      body: { decisions: [{ allowed: true }, { error: { status: 404, code: "not_found" } }, { allowed: true }] },
    });
    expect([await usedOf(own), await usedOf(other)]).toEqual([2, 0]);
  });

  it("keeps scopes apart", async () => {
    const account = await t.newAccount();
    const [reader, plane] = [await t.key("read_only", account), await t.key("data_plane")];
    const cap = { body: { period: "day", capValue: 1 } };
    expect((await t.send("PUT", "/v1/usage/caps/state_requests", { ...cap, key: reader })).body).toMatchObject({ code: "forbidden" });
    expect((await t.send("POST", "/v1/check", { body: { account, usage: { state_requests: 1 } }, key: reader })).status).toBe(403);
    expect((await t.send("GET", "/v1/accounts", { key: plane })).status).toBe(403);
    expect((await t.send("POST", "/v1/check", { body: { account, usage: { state_requests: 1 } }, key: plane })).status).toBe(200);
    expect((await t.send("GET", "/v1/usage", { key: plane, account })).status).toBe(200);
    expect((await t.send("GET", "/v1/usage", { key: plane })).body).toMatchObject({ code: "bad_request" });
  });

  it("states access for every route", () => {
    const paths = Object.entries(t.app.swagger().paths ?? {});
    expect(paths.length).toBeGreaterThan(30);
    const silent = paths.flatMap(([path, operations]) =>
      Object.entries((operations ?? {}) as Record<string, object>)
        .filter(([, o]) => !("x-scopes" in o) && !("security" in o))
        .map(([method]) => `${method} ${path}`),
    );
    expect(silent).toEqual([]);
  });
});

describe("checks in one request", () => {
  it("are decided each on its own, in order", async () => {
    const account = await t.newAccount();
    await t.cap(account, "state_requests", "day", 10);
    const check = (n: number, of = account) => ({ account: of, usage: { state_requests: n } });
    const { body } = await t.send("POST", "/v1/checks", {
      body: { checks: [check(6), check(6), check(1, "acct_nobody"), check(4), check(1)] },
    });
    const decisions = body["decisions"] as { allowed?: boolean; error?: { code: string } }[];
    expect(decisions.map((d) => d.error?.code ?? d.allowed)).toEqual([true, false, "not_found", true, false]);
  });

  it("are told of what is malformed in its place, and the others are decided", async () => {
    const account = await t.newAccount();
    const good = { account, usage: { state_requests: 2 } };
    const checks = [good, { ...good, usage: { state_requests: -1 } }, { account, extra: 1 }, null, { usage: {} }, good];
    const { status, body } = await t.send("POST", "/v1/checks", { body: { checks } });
    const decisions = body["decisions"] as { allowed?: boolean; error?: { code: string; errors: { path: string }[] } }[];
    expect(status).toBe(200);
    const bad = "validation_failed";
    expect(decisions.map((d) => d.error?.code ?? d.allowed)).toEqual([true, bad, bad, bad, bad, true]);
    expect(decisions.map((d) => d.error?.errors.map(({ path }) => path))).toMatchObject({ 1: ["usage.state_requests"], 4: ["account"] });
    expect(await usedOf(account)).toBe(4);
  });

  it("are not sent back what they say at length", async () => {
    const check = Object.fromEntries(Array.from({ length: 1_000 }, (_, i) => [`member_${i}`, 1]));
    const { body } = await t.send("POST", "/v1/checks", { body: { checks: [check, check] } });
    expect(JSON.stringify(body).length).toBeLessThan(4_000);
  });

  it.each([{}, { checks: 1 }, { checks: [], more: 1 }, []])("that are no batch are refused whole: %j", async (body) => {
    expect(await t.send("POST", "/v1/checks", { body })).toMatchObject({ status: 400, body: { code: "validation_failed" } });
  });

  it("are at most 1,000", async () => {
    const check = { account: await t.newAccount(), usage: { state_requests: 1 } };
    expect((await t.send("POST", "/v1/checks", { body: { checks: Array(1_001).fill(check) } })).body).toMatchObject({
      code: "validation_failed",
    });
  });
});

describe("several client processes", () => {
  it("get exactly a cap's 1,000 of 2,000 concurrent checks", async () => {
    const account = await t.newAccount();
    await t.cap(account, "state_requests", "month", 1_000);
    const address = await t.app.listen({ port: 0, host: "127.0.0.1", backlog: 4_096 });
    const script = `
      const one = async () => {
        const response = await fetch("${address}/v1/check", { method: "POST", headers: { authorization: "Bearer ${ADMIN_KEY}", "content-type": "application/json" },
          body: JSON.stringify({ account: "${account}", usage: { state_requests: 1 } }) });
        if (response.status !== 200) throw new Error(String(response.status));
        return (await response.json()).allowed ? 1 : 0;
      };
      Promise.all(Array.from({ length: 500 }, one)).then((all) => console.log(all.reduce((a, b) => a + b, 0)));`;
    const admitted = await Promise.all(Array.from({ length: 4 }, () => output(script)));
    expect(admitted.reduce((sum, n) => sum + n, 0)).toBe(1_000);
    expect(await usedOf(account)).toBe(1_000);
  });
});

function output(script: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ["-e", script], { stdio: ["ignore", "pipe", "inherit"] });
    let text = "";
    child.stdout.on("data", (chunk: Buffer) => (text += chunk.toString()));
    child.on("close", (code) => (code === 0 ? resolve(Number(text)) : reject(new Error(`The client ended with ${code}.`))));
  });
}
