import { Agent, request } from "node:http";
import { sleep } from "../../src/kernel/clock.ts";
import type { Random } from "../../src/replay/random.ts";
import { ADMIN_KEY, type Stage } from "./stage.ts";

/** A request without an answer by then is of unknown outcome. */
const REQUEST_TIME_LIMIT_MS = 1_500;
/** Of 100 operations: sent to two processes at once · the caller hangs up before the answer · an old one is sent again. */
const TWICE_PERCENT = 10;
const HANG_UP_PERCENT = 6;
const AGAIN_PERCENT = 6;
const HANG_UP_AFTER_MS = 6;
const INSIST_TRIES = 20;
const INSIST_PAUSE_MS = 250;

export interface Operation {
  idempotencyKey: string;
  account: string;
  service: string;
  namespace: string;
  usage: Record<string, number>;
}

/** What the caller knows of an operation. */
export interface Known {
  operation: Operation;
  outcome: "unknown" | "allowed" | "denied";
  decisionId: string | null;
  /** How often it was sent. */
  sent: number;
}

interface Answer {
  status: number;
  body: { allowed?: boolean; decisionId?: string; code?: string; detail?: string };
}

/** The callers, and all they know: the truth that the ledger is held against. */
export class Traffic {
  readonly known: Known[] = [];
  /** Answers that contradict what was answered before, or that no caller should get. */
  readonly faults: string[] = [];
  /** Operations whose answers contradict each other. */
  readonly contradictions: string[] = [];
  readonly #stage: Stage;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 64 });
  #stopped = false;

  constructor(stage: Stage) {
    this.#stage = stage;
  }

  stop(): void {
    this.#stopped = true;
  }

  close(): void {
    this.#agent.destroy();
  }

  /** One caller: sends what `next` makes until it is stopped, and knows the outcomes. */
  async call(random: Random, next: () => Operation): Promise<void> {
    while (!this.#stopped) {
      const roll = random() * 100;
      const old = this.known[Math.floor(random() * this.known.length)];
      if (roll < AGAIN_PERCENT && old) {
        await this.send(old, this.#anyApi(random));
        continue;
      }
      const entry: Known = { operation: next(), outcome: "unknown", decisionId: null, sent: 0 };
      this.known.push(entry);
      if (roll < AGAIN_PERCENT + TWICE_PERCENT) await Promise.all(this.#stage.apis.map((_, api) => this.send(entry, api)));
      else await this.send(entry, this.#anyApi(random), random() * 100 < HANG_UP_PERCENT ? random() * HANG_UP_AFTER_MS : null);
      if (entry.outcome === "unknown") await sleep(2 + random() * 10);
    }
  }

  /** Asks again, with the same keys, until every outcome is known or `deadline` (monotonic ms) passes; answers how many stay unknown. */
  async settle(attempts: number): Promise<number> {
    for (let attempt = 0; attempt < attempts; attempt++) {
      const unknown = this.known.filter((entry) => entry.outcome === "unknown");
      if (unknown.length === 0) return 0;
      for (let i = 0; i < unknown.length; i += 16) {
        await Promise.all(unknown.slice(i, i + 16).map((entry, n) => this.send(entry, (attempt + n) % this.#stage.apis.length)));
      }
      if (attempt > 0) await sleep(50);
    }
    return this.known.filter((entry) => entry.outcome === "unknown").length;
  }

  /** Sends an operation and notes what is learnt. */
  async send(entry: Known, api: number, hangUpAfterMs: number | null = null): Promise<void> {
    entry.sent += 1;
    const answer = await this.ask(api, "POST", "/v1/check", entry.operation, hangUpAfterMs).catch(() => null);
    if (answer === null) return;
    if (answer.status === 503) return;
    if (answer.status !== 200 || answer.body.allowed === undefined) {
      this.faults.push(`${entry.operation.idempotencyKey}: ${answer.status} ${answer.body.code} ${answer.body.detail}`);
      return;
    }
    const outcome = answer.body.allowed ? "allowed" : "denied";
    const { decisionId = null } = answer.body;
    if (entry.outcome !== "unknown" && (entry.outcome !== outcome || entry.decisionId !== decisionId)) {
      this.contradictions.push(
        `${entry.operation.idempotencyKey}: first ${entry.outcome} (${entry.decisionId}), then ${outcome} (${decisionId})`,
      );
      return;
    }
    entry.outcome = outcome;
    entry.decisionId = decisionId;
  }

  /** As `ask`, for what may be repeated: again while no answer comes, since a server that has just been healed may take its time. */
  async insist(api: number, method: string, path: string, body: unknown, account = ""): Promise<Answer> {
    for (let left = INSIST_TRIES; ; left--) {
      const answer = await this.ask(api, method, path, body, null, account).catch((error: unknown) => {
        if (left === 0) throw error;
        return null;
      });
      if (answer !== null && (answer.status !== 503 || left === 0)) return answer;
      await sleep(INSIST_PAUSE_MS);
    }
  }

  /** One HTTP call to the API process number `api`; rejects when no answer comes. */
  ask(api: number, method: string, path: string, body: unknown, hangUpAfterMs: number | null = null, account = ""): Promise<Answer> {
    const port = this.#stage.apis[api]?.process.port ?? 0;
    return new Promise((resolve, reject) => {
      const headers = {
        authorization: `Bearer ${ADMIN_KEY}`,
        ...(body ? { "content-type": "application/json" } : {}),
        ...(account ? { "weir-account": account } : {}),
      };
      const call = request({ host: "127.0.0.1", port, method, path, agent: this.#agent, headers }, (response) => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.on("error", reject);
        response.on("end", () => {
          clearTimeout(late);
          resolve({ status: response.statusCode ?? 0, body: parse(Buffer.concat(chunks).toString()) });
        });
      });
      const late = setTimeout(() => call.destroy(new Error("late")), hangUpAfterMs ?? REQUEST_TIME_LIMIT_MS);
      call.on("error", (error) => {
        clearTimeout(late);
        reject(error);
      });
      call.end(body ? JSON.stringify(body) : undefined);
    });
  }

  #anyApi(random: Random): number {
    return Math.floor(random() * this.#stage.apis.length);
  }
}

function parse(text: string): Answer["body"] {
  try {
    return JSON.parse(text) as Answer["body"];
  } catch {
    return {};
  }
}
