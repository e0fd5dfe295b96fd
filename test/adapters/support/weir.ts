import type { AddressInfo } from "node:net";
import { httpPort } from "../../../src/adapters/http-port.ts";
import { METER, type MeterPort } from "../../../src/adapters/port.ts";
import { openTestApp, type TestApp } from "../../support/app.ts";

/** A Weir that listens, and an adapter's way to it: over HTTP, with a data plane's key. */
export interface Weir extends TestApp {
  url: string;
  meter: MeterPort;
  /** The account's State counters of the day, those that are not 0, by their names without `state_`. */
  used(account: string): Promise<Record<string, number>>;
  /** What is held and not settled. */
  reserved(account: string): Promise<Record<string, number>>;
  storedBytes(account: string): Promise<number>;
}

export async function openWeir(): Promise<Weir> {
  const t = await openTestApp();
  await t.app.listen({ host: "127.0.0.1", port: 0 });
  const url = `http://127.0.0.1:${(t.app.server.address() as AddressInfo).port}`;
  /** The State counters that are not 0, by their names without `state_` and `sqlite_`. */
  const figures = (entries: readonly (readonly [meter: string, figure: number])[]): Record<string, number> => {
    const counters = entries.filter(([meter, n]) => meter.startsWith("state_") && meter !== METER.storage && n > 0);
    return Object.fromEntries(counters.map(([meter, n]) => [meter.replace(/^state_(?:sqlite_)?/, ""), n]));
  };
  return {
    ...t,
    url,
    meter: httpPort({ url, key: await t.key("data_plane") }),
    used: async (account) => figures(Object.entries((await t.engine.usage(account)).usage.meters.day)),
    reserved: async (account) => figures((await t.engine.usage(account)).meters.map(({ meter, reserved }) => [meter, reserved])),
    storedBytes: async (account) => (await t.engine.usage(account)).usage.meters.day[METER.storage] ?? 0,
  };
}
