import { createRequire } from "node:module";
import { mkdirSync, readFileSync } from "node:fs";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { systemClock } from "../../src/kernel/clock.ts";
import { createWebhook } from "../../src/notifications/webhook-store.ts";
import { ADMIN_KEY, openTestApp, type TestApp } from "../support/app.ts";
import { findChromium, openBrowser } from "./chromium.ts";

const program = findChromium();
/** Where screenshots go; none are made where it is not named (`npm run screenshots -- <folder>`). */
const folder = process.env["WEIR_SCREENSHOTS"];
const SIZES = { desktop: { width: 1280, height: 900 }, phone: { width: 390, height: 844 } } as const;
const VIEWS = [
  "usage",
  "usage/state_requests",
  "state",
  "state/chat",
  "state/chat/Room",
  "state/chat/Room/room-1",
  "bill",
  "notifications",
  "operator",
];
const STATE = "/v1/services/chat/state/namespaces";

let t: TestApp;
let browser: Browser;
let address: string;
let account: string;
let page: Page;
const faults: string[] = [];

async function newPage(size: keyof typeof SIZES, colorScheme: "light" | "dark"): Promise<Page> {
  const context = await browser.newContext({ viewport: SIZES[size], colorScheme });
  const opened = await context.newPage();
  opened.on("pageerror", (error) => faults.push(error.message));
  opened.on("console", (message) => {
    if (/Content Security Policy/.test(message.text())) faults.push(message.text());
  });
  await opened.goto(address);
  await opened.getByLabel("API key").fill(ADMIN_KEY);
  await opened.getByRole("button", { name: "Sign in" }).click();
  await opened.getByText("Live", { exact: true }).waitFor();
  return opened;
}

async function show(on: Page, view: string): Promise<void> {
  // As text: what runs in the page has other types than what runs here.
  await on.evaluate(`location.hash = "#/${view}"`);
  await on.locator("h1").waitFor();
  await on.locator(".skeleton").first().waitFor({ state: "detached" });
}

describe.skipIf(program === null)("the dashboard", () => {
  beforeAll(async () => {
    t = await openTestApp();
    t.clock.set(systemClock.now());
    account = await t.newAccount("free");
    const endpoint = { url: "https://example.com/hook", events: [], description: null };
    await createWebhook(t.engine.db, account, endpoint, t.clock.now());
    await t.send("POST", STATE, { account, body: { name: "Room" } });
    await t.send("PUT", `${STATE}/Room/objects/room-1/values/topic`, { account, body: { value: "hello" } });
    address = await t.app.listen({ port: 0, host: "127.0.0.1" });
    browser = await openBrowser(program ?? "");
    page = await newPage("desktop", "light");
  });
  afterAll(async () => {
    await browser.close();
    await t.stop();
  });

  it("keeps the key where no script can read it", async () => {
    expect(await page.evaluate("document.cookie")).toBe("");
    expect(await page.evaluate("JSON.stringify(Object.entries(localStorage))")).not.toContain(ADMIN_KEY);
    const [cookie] = await page.context().cookies();
    expect(cookie).toMatchObject({ name: "weir_session", httpOnly: true, sameSite: "Strict" });
  });

  it("sets a cap, and the denial that follows appears without a reload", async () => {
    await show(page, "usage/state_sqlite_rows_written");
    const meter = page.locator('[data-meter="state_sqlite_rows_written"]');
    await meter.getByRole("button", { name: "Set a cap" }).click();
    await meter.getByRole("textbox", { name: /^Cap/ }).fill("3");
    await meter.getByRole("button", { name: "Set cap" }).click();
    await meter.getByText("3 rows a day").waitFor();
    for (let i = 0; i < 5; i++) await t.send("PUT", `${STATE}/Room/objects/room-1/values/key-${i}`, { account, body: { value: "x" } });
    await page.getByRole("heading", { name: "Denied lately" }).waitFor();
    await page.getByText("At limit").first().waitFor();
    await meter.getByRole("button", { name: "Remove" }).click();
    await meter.getByText("None. A cap of your own").waitFor();
    expect((await t.engine.usage(account)).usageCaps).toEqual([]);
  });

  it("writes, reads and deletes a value, and says what each call cost", async () => {
    await show(page, "state/chat/Room/room-1");
    await page.getByRole("button", { name: "New value" }).click();
    await page.getByLabel("Key", { exact: true }).fill("greeting");
    await page.getByLabel("Value", { exact: true }).fill("good morning");
    await page.getByRole("button", { name: "Write" }).click();
    await page.getByRole("button", { name: /^greeting/ }).waitFor();
    await page.locator(".cost").getByText(/row/).first().waitFor();
    const url = `${STATE}/Room/objects/room-1/values/greeting`;
    expect((await t.send("GET", url, { account })).body).toMatchObject({ valueText: "good morning" });
    await page.getByRole("button", { name: "Delete", exact: true }).first().click();
    await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
    await page.getByRole("button", { name: /^greeting/ }).waitFor({ state: "detached" });
    expect((await t.send("GET", url, { account })).status).toBe(404);
  });

  it("sends a test to a webhook and replays it", async () => {
    await show(page, "notifications");
    await page.getByRole("button", { name: "Deliveries" }).click();
    await page.getByRole("button", { name: "Send a test" }).click();
    await page.getByText("webhook.test").waitFor();
    const replayed = page.waitForResponse((response) => response.url().endsWith("/replay"));
    await page.getByRole("button", { name: "Replay" }).first().click();
    expect((await replayed).status()).toBe(202);
  });

  it("has no serious fault for whoever reads it another way, in any view, light or dark", async () => {
    const axe = createRequire(import.meta.url).resolve("axe-core/axe.min.js");
    for (const theme of ["light", "dark"] as const) {
      const opened = await newPage("desktop", theme);
      for (const view of VIEWS) {
        await show(opened, view);
        // The policy forbids scripts of others on the page; the debugger's door is not the page's.
        await opened.evaluate(readFileSync(axe, "utf8"));
        const found = await opened.evaluate(async () => {
          const { axe: checker } = globalThis as unknown as {
            axe: { run(): Promise<{ violations: { id: string; impact: string; nodes: { html: string }[] }[] }> };
          };
          return (await checker.run()).violations;
        });
        const serious = found.filter(({ impact }) => impact === "serious" || impact === "critical");
        expect(serious.map(({ id, nodes }) => `${theme} ${view}: ${id} ${nodes[0]?.html ?? ""}`)).toEqual([]);
      }
      await opened.context().close();
    }
  });

  it("fits a phone: nothing is wider than the screen", async () => {
    for (const [size, theme] of [
      ["phone", "light"],
      ["phone", "dark"],
      ["desktop", "light"],
      ["desktop", "dark"],
    ] as const) {
      if (folder === undefined && theme === "dark") continue;
      const opened = await newPage(size, theme);
      for (const view of VIEWS) {
        await show(opened, view);
        if (folder !== undefined) {
          mkdirSync(folder, { recursive: true });
          await opened.screenshot({ path: `${folder}/${view.replaceAll("/", "-")}-${size}-${theme}.png`, fullPage: true });
        }
        const wide = await opened.evaluate<number>("document.documentElement.scrollWidth - innerWidth");
        expect({ view, wide: Math.max(0, wide) }).toEqual({ view, wide: 0 });
      }
      await opened.context().close();
    }
  });

  it("throws nothing and breaks no policy on the way", () => {
    expect(faults).toEqual([]);
  });
});
