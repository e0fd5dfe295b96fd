/** Closes what is due in the database it is told of, says how it went, and ends. */
import { CatalogHistory } from "../../src/catalog/history-store.ts";
import { monotonicMs } from "../../src/kernel/clock.ts";
import { HOUR_MS } from "../../src/kernel/window.ts";
import { closePeriods } from "../../src/invoices/close.ts";
import { openPostgres } from "../../src/stores/database.ts";

const SAMPLE_MS = 50;

const [url = "", now = "0", atOnce = "200"] = process.argv.slice(2);
const postgres = openPostgres(url, { poolSize: 2 });
let peak = 0;
const sampling = setInterval(() => (peak = Math.max(peak, process.memoryUsage().rss)), SAMPLE_MS);
// Whoever kills us waits for this.
process.send?.("closing");
const from = monotonicMs();
const report = await closePeriods(
  { db: postgres.db, catalogs: new CatalogHistory(postgres.db) },
  24 * HOUR_MS,
  Number(now),
  Number(atOnce),
);
clearInterval(sampling);
process.stdout.write(`${JSON.stringify({ ...report, ms: Math.round(monotonicMs() - from), peakBytes: peak })}\n`);
await postgres.close();
process.disconnect?.();
