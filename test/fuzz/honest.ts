/** A thread of its own, so that no work of the fuzzer's delays what is measured: an honest client that checks, one call after the other. */
import { Agent, request } from "node:http";
import { parentPort, workerData } from "node:worker_threads";
import { monotonicMs, sleep } from "../../src/kernel/clock.ts";
import type { HonestOrder, HonestReport } from "./honest-client.ts";

const { url, key, account } = workerData as { url: string; key: string; account: string };
/** Between an answer and the next call. */
const PAUSE_MS = 2;

const agent = new Agent({ keepAlive: true, maxSockets: 1 });
const body = JSON.stringify({ account, service: "honest", namespace: "Room", object: "room-1", operation: "put", payloadBytes: 100 });
const windows: HonestReport["windows"] = [];
const failures: string[] = [];
let phase: HonestOrder = "rest";

/** The call under way. */
let calling: Promise<void> = Promise.resolve();

parentPort?.on("message", (order: HonestOrder) => {
  phase = order;
  if (order === "alone") windows.push({ alone: [], attacked: [] });
  if (order === "rest") void calling.then(() => parentPort?.postMessage("resting"));
  if (order === "report") void calling.then(() => parentPort?.postMessage({ windows, failures } satisfies HonestReport));
});
void work();

async function work(): Promise<never> {
  for (;;) {
    if (phase === "alone" || phase === "attacked") await (calling = call(phase));
    await sleep(PAUSE_MS);
  }
}

/** A call that began in one phase and ended in another says nothing of either. */
async function call(during: "alone" | "attacked"): Promise<void> {
  const began = monotonicMs();
  const fault = await ask().catch((error: unknown) => String(error));
  if (fault !== null) failures.push(fault);
  else if (phase === during) windows.at(-1)?.[during].push(monotonicMs() - began);
}

/** Null when it is allowed, else what came instead. */
function ask(): Promise<string | null> {
  return new Promise((resolve, reject) => {
    const headers = { authorization: `Bearer ${key}`, "content-type": "application/json", "content-length": Buffer.byteLength(body) };
    const call = request(`${url}/v1/check`, { method: "POST", agent, headers }, (response) => {
      let text = "";
      response.on("data", (chunk: Buffer) => (text += chunk.toString()));
      response.on("end", () =>
        resolve(response.statusCode === 200 && text.includes('"allowed":true') ? null : `${response.statusCode} ${text}`),
      );
    });
    call.on("error", reject);
    call.end(body);
  });
}
