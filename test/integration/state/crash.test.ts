import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { DatabaseSync } from "node:sqlite";
import { expect, it } from "vitest";
import type { StateContext } from "../../../src/state/context.ts";
import { totalStorage } from "../../../src/state/object-index.ts";
import { objectPath } from "../../../src/state/layout.ts";
import { getValue, listObjects } from "../../../src/state/read-objects.ts";
import { tempDir } from "../../support/temp-dir.ts";
import { objectsOn, room } from "./gate.ts";

const WRITER = fileURLToPath(new URL("crash-writer.ts", import.meta.url));
const ROUNDS = 6;
/** Lines of acknowledgement after which the process is killed: another point in its work each round. */
const linesOf = (round: number): number => 60 + round * 37;

/** Runs the writer until it has acknowledged enough, kills it with SIGKILL, and answers what it acknowledged last. */
async function writeAndKill(folder: string, round: number): Promise<Map<string, number>> {
  const child = spawn(process.execPath, [WRITER, folder, String(round)], { stdio: ["ignore", "pipe", "inherit"] });
  const exited = once(child, "exit");
  let output = "";
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
    output += chunk;
    if (output.split("\n").length > linesOf(round)) child.kill("SIGKILL");
  });
  await Promise.all([exited, once(child.stdout, "close")]);
  const whole = output
    .slice(0, output.lastIndexOf("\n"))
    .split("\n")
    .map((line) => line.split(" "));
  return new Map(whole.map(([, object = "", n]) => [object, Number(n)]));
}

async function allObjects(context: StateContext): Promise<Map<string, number>> {
  const { items, nextCursor } = await listObjects(context, room, { limit: 1_000 });
  expect(nextCursor).toBeNull();
  return new Map(items.map((entry) => [entry.objectKey, entry.storageBytes]));
}

it("kill -9 at any point leaves the old value or the new one, and an index that tells the truth", async () => {
  const dir = tempDir("state-crash");
  const acknowledged = new Map<string, number>();
  try {
    for (let round = 0; round < ROUNDS; round += 1) {
      const last = await writeAndKill(dir.path, round);
      expect(last.size).toBeGreaterThan(3);
      for (const [object, n] of last) acknowledged.set(object, n);
      const { context, troubles } = objectsOn(dir.path);
      for (const [object, n] of acknowledged) {
        const { value } = await getValue(context, { namespace: room, object }, "value");
        const found = (JSON.parse(Buffer.from(value).toString()) as { n: number }).n;
        // The put after the last acknowledged one may have been committed before the kill: unanswered, so either is right.
        expect([n, n + 1]).toContain(found);
      }
      const listed = await allObjects(context);
      for (const object of acknowledged.keys()) expect(listed.has(object)).toBe(true);
      // Nothing on disk is unlisted: an object more than acknowledged at most, the one whose creation was cut off.
      const files = readdirSync(dir.path, { recursive: true })
        .map(String)
        .filter((path) => /objects\/..\/[0-9a-f]{64}\.sqlite$/.test(path));
      expect(files.length).toBe(listed.size);
      for (const object of listed.keys()) await getValue(context, { namespace: room, object }, "value");
      const corrected = await allObjects(context);
      context.files.close();
      let sum = 0;
      for (const [object, bytes] of corrected) {
        const database = new DatabaseSync(objectPath(dir.path, room, object), { readOnly: true });
        expect(database.prepare("pragma integrity_check").get()).toEqual({ integrity_check: "ok" });
        const size = database
          .prepare("select (page_count - freelist_count) * 4096 as n from pragma_page_count, pragma_freelist_count")
          .get();
        database.close();
        expect(bytes).toBe(size?.["n"]);
        sum += bytes;
      }
      expect(await context.files.index(room, -1, totalStorage)).toBe(sum);
      context.files.close();
      expect(troubles).toEqual([]);
    }
  } finally {
    dir.remove();
  }
});
