import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ADMIN_KEY, openTestApp, type TestApp } from "../../support/app.ts";

let t: TestApp;
let address: string;
beforeAll(async () => {
  t = await openTestApp();
  address = await t.app.listen({ port: 0, host: "127.0.0.1" });
});
afterAll(() => t.stop());

interface Told {
  event: string;
  data: { usage?: { meters: { day: Record<string, number> } }; denials?: { count: number; object: string | null; denials: object[] }[] };
}

/** Reads events of an account until `wanted` is among them. */
async function until(
  account: string,
  wanted: (told: Told) => boolean,
  meanwhile: () => Promise<unknown> = () => Promise.resolve(),
): Promise<Told> {
  const leave = new AbortController();
  const response = await fetch(`${address}/v1/usage/stream`, {
    headers: { authorization: `Bearer ${ADMIN_KEY}`, "weir-account": account },
    signal: leave.signal,
  });
  expect(response.headers.get("content-type")).toMatch(/^text\/event-stream/);
  let text = "";
  let started = false;
  for await (const part of response.body!.pipeThrough(new TextDecoderStream())) {
    text += part;
    const events = text.split("\n\n");
    text = events.pop() ?? "";
    for (const event of events) {
      const told = {
        event: /^event: (.*)$/m.exec(event)?.[1] ?? "",
        data: JSON.parse(/^data: (.*)$/m.exec(event)?.[1] ?? "{}") as Told["data"],
      };
      if (told.event === "") continue;
      if (!started) void meanwhile();
      started = true;
      if (!wanted(told)) continue;
      leave.abort();
      return told;
    }
  }
  throw new Error("The stream ended.");
}

describe("the live line", () => {
  it("tells the present figures, then what a check changes", async () => {
    const account = await t.newAccount();
    const used = (told: Told) => told.data.usage?.meters.day["state_requests"];
    await until(account, (told) => used(told) === 0);
    const check = () => t.check({ account, usage: { state_requests: 7 } });
    expect(used(await until(account, (told) => used(told) === 7, check))).toBe(7);
  });

  it("tells denials of any process, alike ones counted together, and keeps them for who comes later", async () => {
    const account = await t.newAccount();
    const other = await t.another();
    await t.cap(account, "state_requests", "day", 0);
    const request = { account, service: "chat", namespace: "Room", object: "room-1", operation: "put", usage: { state_requests: 1 } };
    const denied = async () => {
      for (let i = 0; i < 3; i++) await other.gate.check(request, t.clock.now());
      await other.denials.flush();
    };
    // The other process keeps what it noted twice a second, so three may come as one and two.
    const times = ({ data }: Told): number => (data.denials ?? []).reduce((sum, { count }) => sum + count, 0);
    const told = await until(account, (event) => times(event) === 3, denied);
    expect(told.data.denials![0]).toMatchObject({ object: "room-1", operation: "put", denials: [{ meter: "state_requests", limit: 0 }] });
    const { body } = await t.send("GET", "/v1/usage/denials", { account });
    expect(body["denials"]).toEqual(told.data.denials);
  });

  it("remembers no peek and at most fifty", async () => {
    const account = await t.newAccount();
    await t.cap(account, "state_requests", "day", 0);
    await t.check({ account, usage: { state_requests: 1 }, mode: "peek" });
    for (let i = 0; i < 60; i++) await t.check({ account, object: `o${i}`, namespace: "Room", usage: { state_requests: 1 } });
    await t.engine.denials.flush();
    const { body } = await t.send("GET", "/v1/usage/denials", { account });
    expect((body["denials"] as { object: string }[]).map((d) => d.object)).toEqual(Array.from({ length: 50 }, (_, i) => `o${59 - i}`));
  });

  it("is for who may read the account only", async () => {
    const [own, other] = [await t.newAccount(), await t.newAccount()];
    const key = await t.key("account", own);
    expect((await t.send("GET", "/v1/usage/stream", { key, account: other })).status).toBe(404);
    expect((await t.send("GET", "/v1/usage/stream", { key: null })).status).toBe(401);
    expect((await t.send("GET", "/v1/usage/denials", { account: "acct_nobody" })).status).toBe(404);
  });

  it("ends when the server closes", async () => {
    const closing = await openTestApp();
    const at = await closing.app.listen({ port: 0, host: "127.0.0.1" });
    const account = await closing.newAccount();
    const response = await fetch(`${at}/v1/usage/stream`, { headers: { authorization: `Bearer ${ADMIN_KEY}`, "weir-account": account } });
    const reader = response.body!.getReader();
    expect((await reader.read()).done).toBe(false);
    await closing.stop();
    let last = await reader.read();
    for (let i = 0; i < 5 && !last.done; i++) last = await reader.read();
    expect(last.done).toBe(true);
  });
});

it("is not asked for its head alone, which nobody would ever be sent", async () => {
  const account = await t.newAccount();
  const answer = await fetch(`${address}/v1/usage/stream`, {
    method: "HEAD",
    headers: { authorization: `Bearer ${ADMIN_KEY}`, "weir-account": account },
  });
  expect(answer.status).toBe(404);
});
