import { randomUUID } from "node:crypto";
import type { Redis } from "ioredis";
import { every } from "../kernel/clock.ts";
import { NotSent, unavailable } from "../kernel/errors.ts";

/**
 * Of what scripts keep and how (src/counters/layout.ts): part of what tells incarnations apart, so what a release left that laid it out otherwise
 * is taken for another incarnation's, which is never read.
 */
const LAYOUT = 2;
/** Where a server without a run id of its own (the JavaScript one) is given one. It dies with the server's memory. */
const RUN_ID_KEY = "weir:run-id";
/**
 * How often a server is asked again which incarnation it is: one that no replica follows any more takes a new replication id after an hour. Processes
 * that take a server for two incarnations load each account anew from one another.
 */
const ASK_AGAIN_MS = 1_000;

/** Which incarnation of a server is at the other end of a connection. */
export class Incarnation {
  readonly #ask: () => Promise<string>;
  readonly #listeners: (() => void)[] = [];
  readonly #waiting = new Set<() => void>();
  readonly #timer: NodeJS.Timeout;
  #runId: string | null = null;
  #lastRunId: string | null = null;

  /** `ask` reads it from the server (`readRunId`). */
  constructor(ask: () => Promise<string>) {
    this.#ask = ask;
    this.#timer = every(
      ASK_AGAIN_MS,
      () => this.#askAgain(),
      () => {},
    );
  }

  /** The server's run id; throws `unavailable` while it is not known. */
  get runId(): string {
    if (this.#runId === null) throw new NotSent("Redis");
    return this.#runId;
  }

  /** Calls back whenever it is another one than before. */
  onChange(listener: () => void): void {
    this.#listeners.push(listener);
  }

  /** For a connection that is new. Rejects where the server does not answer. */
  async learn(): Promise<void> {
    this.#take(await this.#ask());
    for (const wake of this.#waiting) wake();
    this.#waiting.clear();
  }

  /** The connection is gone: the server behind the next one may be another. */
  forget(): void {
    this.#runId = null;
  }

  /** Resolves once it is known; rejects with `unavailable` after `timeoutMs`. */
  known(timeoutMs: number): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#runId !== null) return resolve();
      const wake = (): void => {
        clearTimeout(timer);
        resolve();
      };
      const timer = setTimeout(() => {
        this.#waiting.delete(wake);
        reject(unavailable("Redis"));
      }, timeoutMs);
      this.#waiting.add(wake);
    });
  }

  close(): void {
    clearInterval(this.#timer);
  }

  async #askAgain(): Promise<void> {
    const known = this.#runId;
    if (known === null) return;
    const runId = await this.#ask();
    // Not what another connection was told.
    if (this.#runId === known) this.#take(runId);
  }

  #take(runId: string): void {
    const changed = this.#lastRunId !== null && this.#lastRunId !== runId;
    this.#runId = runId;
    this.#lastRunId = runId;
    if (changed) for (const listener of this.#listeners) listener();
  }
}

/** What tells a server's incarnation from its others. */
export async function readRunId(client: Redis): Promise<string> {
  const run = /^run_id:(\S+)/m.exec(await client.info("server"))?.[1];
  // A primary that lost its place and gets it back is the same run, with another's data: its replication id is a new one.
  const lineage = /^master_replid:(\S+)/m.exec(await client.info("replication"))?.[1];
  if (run !== undefined && lineage !== undefined) return `${run}.${lineage}.${LAYOUT}`;
  await client.set(RUN_ID_KEY, randomUUID(), "NX");
  const minted = await client.get(RUN_ID_KEY);
  if (minted === null) throw unavailable("Redis");
  return `${minted}.${LAYOUT}`;
}
