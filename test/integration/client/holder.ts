/**
 * A data plane of one loop, to be killed: checks one unit after the other through `weir/client` with a journal, and notes each allowed one
 * by a byte in a file before the next. Arguments: url, key, account, journal, notes. Ends by itself when it is denied for good.
 */
import { openSync, writeSync } from "node:fs";
import { createMeter } from "../../../src/client/index.ts";
import { openFileJournal } from "../../../src/client/journal-file.ts";

/** Denials in a row, each a moment apart: others may still give back what they hold. */
const DENIALS_MAX = 40;
const PAUSE_MS = 100;

const [url = "", key = "", account = "", journal = "", notes = ""] = process.argv.slice(2);
const noted = openSync(notes, "a");
const meter = createMeter({ url, key, leaseAfter: 0, journal: { journal: openFileJournal(journal), every: "check" } });
await meter.ready();
process.send?.("ready");
for (let denials = 0; denials < DENIALS_MAX;) {
  const { allowed } = await meter.check({ account, usage: { state_requests: 1 } });
  if (allowed) writeSync(noted, ".");
  else await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  denials = allowed ? 0 : denials + 1;
  // Lets the heart beat, and keeps the limit from being used up within one life.
  if (allowed && Math.random() < 0.01) await new Promise((resolve) => setTimeout(resolve, 1));
}
await meter.close();
process.exit(0);
