import { httpPort } from "../../../src/adapters/http-port.ts";
import type { MeterPort } from "../../../src/adapters/port.ts";
import { resolveConnection } from "../../../src/cli/connection.ts";

/** The Weir that `npm start` runs (or that WEIR_URL and WEIR_KEY name), with the account there, which may write `rows` rows more today. */
export async function meterWithRowsLeft(account: string, rows: number): Promise<{ meter: MeterPort; usage(): Promise<string> }> {
  const { url, key } = resolveConnection({}, process.env);
  if (key === null) throw new Error("Start Weir first (`npm start`), or set WEIR_URL and WEIR_KEY.");
  const send = async (method: string, path: string, body?: unknown): Promise<unknown> => {
    const headers = { authorization: `Bearer ${key}`, "content-type": "application/json", "weir-account": account };
    const response = await fetch(`${url}${path}`, { method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
    if (!response.ok) throw new Error(`${method} ${path}: ${await response.text()}`);
    return response.json();
  };
  const today = async (): Promise<Record<string, number>> => {
    const { usage } = (await send("GET", "/v1/usage")) as { usage: { meters: { day: Record<string, number> } } };
    return usage.meters.day;
  };
  await send("PUT", `/v1/accounts/${account}`, { plan: "free" });
  const written = (await today())["state_sqlite_rows_written"] ?? 0;
  await send("PUT", "/v1/usage/caps/state_sqlite_rows_written", { period: "day", capValue: written + rows });
  return {
    meter: httpPort({ url, key }),
    usage: async () => {
      const counted = Object.entries(await today()).filter(([meter, n]) => meter.startsWith("state_") && n > 0);
      return counted.map(([meter, n]) => `${meter} ${n}`).join("\n");
    },
  };
}
