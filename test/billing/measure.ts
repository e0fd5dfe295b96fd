import postgres from "postgres";
import { migrate } from "../../src/stores/migrate.ts";
import { closeOnce, type Closed } from "./killed-runs.ts";
import { seed } from "./seed.ts";

const A_DAY_AFTER_THE_FIRST_MONTH = Date.parse("2026-11-02T00:00:00.000Z");

export interface Measured extends Closed {
  accounts: number;
}

/** Bills so many plain accounts, with five meters and a few hours of use each, in a database of their own. */
export async function measure(maintenanceUrl: string, accounts: number, hours: number): Promise<Measured> {
  const name = `weir_scale_${accounts}`;
  const sql = postgres(maintenanceUrl, { max: 1, onnotice: () => {} });
  try {
    await sql.unsafe(`create database ${name}`);
    const url = Object.assign(new URL(maintenanceUrl), { pathname: `/${name}` }).href;
    await migrate(url);
    await seed(url, { accounts, hours, days: 26, varied: false });
    const closed = await closeOnce({ databaseUrl: url, now: A_DAY_AFTER_THE_FIRST_MONTH, atOnce: 200 });
    await sql.unsafe(`drop database ${name} with (force)`);
    return { ...closed, accounts };
  } finally {
    await sql.end();
  }
}
