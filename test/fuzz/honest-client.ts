import { once } from "node:events";
import { Worker } from "node:worker_threads";

/** What the client is to do from now on; `rest` and `report` are answered, when nothing is under way. */
export type HonestOrder = "alone" | "attacked" | "rest" | "report";

/** How long its calls took, ms, and what came where one was not allowed, as it ought to be. A window is one stretch alone and the next attacked. */
export interface HonestReport {
  windows: { alone: number[]; attacked: number[] }[];
  failures: string[];
}

/** The honest client, in its thread (honest.ts). */
export class HonestClient {
  readonly #worker: Worker;

  constructor(options: { url: string; key: string; account: string }) {
    this.#worker = new Worker(new URL("./honest.ts", import.meta.url), { workerData: options });
  }

  order(order: "alone" | "attacked"): void {
    this.#worker.postMessage(order);
  }

  /** Resolves when its last call is answered. */
  async rest(): Promise<void> {
    const resting = once(this.#worker, "message");
    this.#worker.postMessage("rest" satisfies HonestOrder);
    await resting;
  }

  async report(): Promise<HonestReport> {
    const answered = once(this.#worker, "message");
    this.#worker.postMessage("report" satisfies HonestOrder);
    const [report] = (await answered) as [HonestReport];
    return report;
  }

  async stop(): Promise<void> {
    await this.#worker.terminate();
  }
}

/** The value that `share` of all stay below; 0 of none. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}
