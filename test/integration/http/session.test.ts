import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ADMIN_KEY, openTestApp, type TestApp } from "../../support/app.ts";

let t: TestApp;
beforeAll(async () => {
  t = await openTestApp();
});
afterAll(() => t.stop());

const PAGE = { "weir-dashboard": "1", "sec-fetch-site": "same-origin" };

/** Signs in and answers the cookie, as a browser would send it. */
async function signIn(key: string): Promise<string> {
  const { status, headers } = await t.send("POST", "/v1/session", { key: null, body: { key }, headers: PAGE });
  expect(status).toBe(200);
  return String(headers["set-cookie"]).split(";", 1)[0] ?? "";
}

describe("a session", () => {
  it("is a cookie that no script can read and that does not show the key", async () => {
    const answer = await t.send("POST", "/v1/session", { key: null, body: { key: ADMIN_KEY }, headers: PAGE });
    expect(answer).toMatchObject({ status: 200, body: { scope: "admin", account: null } });
    const cookie = String(answer.headers["set-cookie"]);
    expect(cookie).toMatch(/; Path=\/; HttpOnly; SameSite=Strict; Max-Age=43200$/);
    expect(Buffer.from(cookie.split(/[=;]/)[1] ?? "", "base64url").includes(ADMIN_KEY)).toBe(false);
    const behindTls = await t.send("POST", "/v1/session", {
      key: null,
      body: { key: ADMIN_KEY },
      headers: { ...PAGE, "x-forwarded-proto": "https" },
    });
    expect(String(behindTls.headers["set-cookie"])).toMatch(/; Secure$/);
  });

  it("refuses a wrong key, and a page of another origin", async () => {
    const refused = (key: string, headers: Record<string, string>) => t.send("POST", "/v1/session", { key: null, body: { key }, headers });
    expect(await refused("nonsense", PAGE)).toMatchObject({ status: 401, body: { code: "unauthorized" } });
    expect(await refused(ADMIN_KEY, { ...PAGE, "sec-fetch-site": "cross-site" })).toMatchObject({
      status: 403,
      body: { code: "forbidden" },
    });
    expect(await refused(ADMIN_KEY, { "weir-dashboard": "1", origin: "http://evil.example" })).toMatchObject({ status: 403 });
  });

  it("speaks for its key: the same scope, the same account", async () => {
    const account = await t.newAccount();
    const cookie = await signIn(await t.key("read_only", account));
    const headers = { ...PAGE, cookie };
    expect((await t.send("GET", "/v1/session", { key: null, headers })).body).toEqual({ scope: "read_only", account });
    expect((await t.send("GET", "/v1/usage", { key: null, headers })).body).toMatchObject({ account });
    const cap = await t.send("PUT", "/v1/usage/caps/state_requests", { key: null, headers, body: { period: "day", capValue: 1 } });
    expect(cap).toMatchObject({ status: 403, body: { code: "forbidden" } });
  });

  it("ends with its key, with its time, and on signing out", async () => {
    const account = await t.newAccount();
    const { body } = await t.send("POST", `/v1/accounts/${account}/keys`, { body: { scope: "account" } });
    const cookie = await signIn(String(body["key"]));
    const status = async () => (await t.send("GET", "/v1/usage", { key: null, headers: { ...PAGE, cookie } })).status;
    expect(await status()).toBe(200);
    await t.send("DELETE", `/v1/accounts/${account}/keys/${String(body["id"])}`);
    expect(await status()).toBe(401);

    const old = await signIn(ADMIN_KEY);
    t.clock.advance(12 * 3_600_000);
    expect((await t.send("GET", "/v1/accounts", { key: null, headers: { ...PAGE, cookie: old } })).status).toBe(401);
    const left = await t.send("DELETE", "/v1/session", { key: null, headers: { ...PAGE, cookie: await signIn(ADMIN_KEY) } });
    expect(String(left.headers["set-cookie"])).toMatch(/^weir_session=; .*Max-Age=0/);
  });

  const foreign: [name: string, headers: Record<string, string>][] = [
    ["another site", { "weir-dashboard": "1", "sec-fetch-site": "cross-site" }],
    ["another port of the same host", { "weir-dashboard": "1", "sec-fetch-site": "same-site" }],
    ["an address that was typed", { "weir-dashboard": "1", "sec-fetch-site": "none" }],
    ["another origin, of an old browser", { "weir-dashboard": "1", origin: "http://evil.example" }],
    ["no origin at all", { "weir-dashboard": "1", origin: "null" }],
    ["a form, which cannot send the header", { "sec-fetch-site": "same-origin" }],
  ];
  it.each(foreign)("changes nothing for %s", async (_name, headers) => {
    const account = await t.newAccount();
    const cookie = await signIn(ADMIN_KEY);
    const body = { period: "day", capValue: 1 };
    const answer = await t.send("PUT", "/v1/usage/caps/state_requests", { key: null, account, body, headers: { ...headers, cookie } });
    expect(answer).toMatchObject({ status: 401, body: { code: "unauthorized" } });
    expect((await t.engine.usage(account)).usageCaps).toEqual([]);
  });

  it("is no good when it was tampered with, or sealed elsewhere", async () => {
    const cookie = await signIn(ADMIN_KEY);
    const [name = "", value = ""] = cookie.split("=");
    const bytes = Buffer.from(value, "base64url");
    const wrong = [0, 12, 20, bytes.length - 1].map((at) => {
      const changed = Buffer.from(bytes);
      changed[at] = (changed[at] ?? 0) ^ 1;
      return changed.toString("base64url");
    });
    for (const text of [...wrong, "", "x", "A".repeat(2_000)]) {
      const answer = await t.send("GET", "/v1/accounts", { key: null, headers: { ...PAGE, cookie: `${name}=${text}` } });
      expect(answer.status).toBe(401);
    }
  });
});

describe("the page", () => {
  it("comes with a strict policy and files that may be kept for good", async () => {
    const page = await t.app.inject({ method: "GET", url: "/" });
    expect(page.statusCode).toBe(200);
    const policy = String(page.headers["content-security-policy"]);
    expect(policy).toContain("default-src 'none'");
    expect(policy).not.toMatch(/unsafe|\*|https?:/);
    const again = await t.app.inject({ method: "GET", url: "/", headers: { "if-none-match": String(page.headers["etag"]) } });
    expect(again).toMatchObject({ statusCode: 304, body: "" });
    const [, script = ""] = /src="([^"]+)"/.exec(page.body) ?? [];
    const file = await t.app.inject({ method: "GET", url: script, headers: { "accept-encoding": "gzip" } });
    expect(file).toMatchObject({
      statusCode: 200,
      headers: { "content-encoding": "gzip", "cache-control": expect.stringContaining("immutable") },
    });
  });

  it("has no other files", async () => {
    for (const url of ["/assets/0000000000000000/main.js", "/assets/x/../../package.json", "/assets/x/%2e%2e%2fpackage.json"]) {
      expect((await t.app.inject({ method: "GET", url })).statusCode).toBe(404);
    }
  });
});
