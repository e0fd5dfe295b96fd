import { sql } from "kysely";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { systemClock } from "../../src/kernel/clock.ts";
import { DAY_MS, HOUR_MS, iso } from "../../src/kernel/window.ts";
import { ensurePartitions } from "../../src/ledger/ledger-store.ts";
import { ADMIN_KEY, openTestApp, type TestApp } from "../support/app.ts";
import { findChromium, openBrowser } from "./chromium.ts";

/** The longest a page may hold its thread: beyond it a scroll or a key is seen to wait. */
const TASK_MS_MAX = 100;
const FIRST_PAINT_MS_MAX = 200;
/** Other work on the machine makes a walk slower, never faster: the best of these counts. */
const WALKS = 3;
const OBJECTS = 10_000;
const PUTS_AT_ONCE = 32;
const STATE = "/v1/services/chat/state/namespaces";
const METER = "state_requests";

const program = findChromium();
let t: TestApp;
let browser: Browser;
let address: string;
let account: string;

interface Walk {
  longestTaskMs: number;
  firstPaintMs: number;
}

/** A year of hours of one meter. */
async function seedYear(now: number): Promise<void> {
  const from = now - 365 * DAY_MS;
  const months = Array.from({ length: 14 }, (_, i) => from + i * 28 * DAY_MS).filter((at) => at <= now);
  await ensurePartitions(t.engine.db, [...months, now]);
  await sql`
    insert into usage_buckets (account, bucket, meter, service, namespace, epoch, source, quantity)
    select ${account}, h, ${METER}, 'chat', 'Room', 0, 'seed', 100 + (extract(epoch from h)::bigint / 3600) % 50
    from generate_series(date_trunc('hour', ${iso(from)}::timestamptz), ${iso(now - HOUR_MS)}::timestamptz, interval '1 hour') h`.execute(
    t.engine.db,
  );
}

async function seedObjects(): Promise<void> {
  const left = Array.from({ length: OBJECTS }, (_, i) => `room-${i}`);
  const worker = async (): Promise<void> => {
    for (let name = left.pop(); name !== undefined; name = left.pop()) {
      const { status } = await t.send("PUT", `${STATE}/Room/objects/${name}/values/topic`, { account, body: { value: "hello" } });
      if (status !== 200 && status !== 201) throw new Error(`PUT answered ${status}`);
    }
  };
  await Promise.all(Array.from({ length: PUTS_AT_ONCE }, worker));
}

describe.skipIf(program === null)("with 10,000 objects and a year of history", () => {
  beforeAll(async () => {
    t = await openTestApp();
    t.clock.set(systemClock.now());
    account = await t.newAccount("pro");
    await t.send("POST", STATE, { account, body: { name: "Room" } });
    await seedYear(t.clock.now());
    await seedObjects();
    address = await t.app.listen({ port: 0, host: "127.0.0.1" });
    browser = await openBrowser(program ?? "");
  });
  afterAll(async () => {
    await browser.close();
    await t.stop();
  });

  /** Signs in, looks at the year by hours and zooms, scrolls through all objects; the longest task of the page, and its first paint. */
  async function walk(): Promise<Walk> {
    const context = await browser.newContext({ viewport: { width: 1280, height: 900 } });
    await context.addInitScript(`
      globalThis.longest = 0;
      new PerformanceObserver((list) => {
        for (const { duration } of list.getEntries()) globalThis.longest = Math.max(globalThis.longest, duration);
      }).observe({ type: "longtask", buffered: true });`);
    const page = await context.newPage();
    await page.goto(address);
    await page.getByLabel("API key").fill(ADMIN_KEY);
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByText("Live", { exact: true }).waitFor();
    const firstPaintMs = await page.evaluate<number>(`performance.getEntriesByName("first-contentful-paint")[0].startTime`);
    await page.evaluate(`location.hash = "#/usage/${METER}"`);
    await page.getByText("Year, hours").click();
    await page.locator(".uplot").waitFor();
    await brush(page);
    await page.evaluate(`location.hash = "#/state/chat/Room"`);
    await scrollThrough(page);
    const longestTaskMs = await page.evaluate<number>("globalThis.longest");
    await context.close();
    return { longestTaskMs, firstPaintMs };
  }

  it("the page never holds its thread for long, and is painted at once", async () => {
    const walks: Walk[] = [];
    for (let i = 0; i < WALKS; i++) walks.push(await walk());
    const best = (of: (walk: Walk) => number): number => Math.min(...walks.map(of));
    const [task, paint] = [best((w) => w.longestTaskMs), best((w) => w.firstPaintMs)];
    process.stderr.write(`longest task ${task.toFixed(0)} ms, first paint ${paint.toFixed(0)} ms, the best of ${WALKS} walks\n`);
    expect(task).toBeLessThanOrEqual(TASK_MS_MAX);
    expect(paint).toBeLessThanOrEqual(FIRST_PAINT_MS_MAX);
  });
});

/** Drags over the middle third of the chart. */
async function brush(page: Page): Promise<void> {
  const box = await page.locator(".uplot .u-over").boundingBox();
  if (!box) throw new Error("no chart");
  const y = box.y + box.height / 2;
  await page.mouse.move(box.x + box.width / 3, y);
  await page.mouse.down();
  await page.mouse.move(box.x + (2 * box.width) / 3, y, { steps: 20 });
  await page.mouse.up();
}

/** To the end of the list, which reads on as it is scrolled. */
async function scrollThrough(page: Page): Promise<void> {
  const list = page.getByRole("list", { name: "Objects" });
  await list.waitFor();
  await list.hover();
  await expect
    .poll(
      async () => {
        await page.mouse.wheel(0, 20_000);
        return page.getByText(/\d read/).textContent();
      },
      { timeout: 60_000, interval: 50 },
    )
    .toContain(`${OBJECTS.toLocaleString("en-US")} read.`);
}
