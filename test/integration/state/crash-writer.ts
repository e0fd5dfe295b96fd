/*
 * The process that crash.test.ts kills: puts ever higher numbers into three objects and creates a new object each
 * round, and says on stdout what was acknowledged. Arguments: folder, round.
 */
import { writeSync } from "node:fs";
import { putValue } from "../../../src/state/put-value.ts";
import { objectsOn, room } from "./gate.ts";

const [folder = "", round = "0"] = process.argv.slice(2);
const { context } = objectsOn(folder, () => new Promise((resolve) => setImmediate(resolve)));

async function count(object: string): Promise<never> {
  for (let n = Number(round) * 1_000_000; ; n += 1) {
    // Sizes differ, so that pages are taken and given back; half of a torn value would not parse.
    const value = JSON.stringify({ n, padding: "x".repeat((n * 7_919) % 40_000) });
    await putValue(context, { namespace: room, object }, "value", Buffer.from(value));
    writeSync(1, `put ${object} ${n}\n`);
  }
}

async function create(): Promise<never> {
  for (let n = 0; ; n += 1) {
    const object = `new-${round}-${n}`;
    await putValue(context, { namespace: room, object }, "value", Buffer.from(JSON.stringify({ n })));
    writeSync(1, `new ${object} ${n}\n`);
  }
}

await Promise.all([count("a"), count("b"), count("c"), create()]);
