import { execFile, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { promisify } from "node:util";
import { asking, furnish, partyNames, putParty, type Ask, type Party } from "../integration/isolation/party.ts";
import { killWith } from "../support/kill-with.ts";
import { startReceiver, type Receiver } from "../support/receiver.ts";
import { ROOT } from "../support/tools.ts";
import { PRESENT, type Keys } from "./requests.ts";

const ADMIN_KEY = "the-operators-key-of-the-fuzzer";
export const HONEST_ACCOUNT = "acct_honest";
/** When parties begin; two of their months have ended at PRESENT, where the clock stands. It goes forward only, so both are to come. */
const PAST = "2040-01-01T00:00:00.000Z";
const STOP_TIME_LIMIT_MS = 12_000;

/** A running Weir, who lives there, and who calls. */
export class Stage {
  readonly url: string;
  readonly adminKey = ADMIN_KEY;
  /** What its process has written. */
  readonly said: string[] = [];
  readonly hook: string;
  readonly parties: Party[] = [];
  readonly #process: ChildProcess;
  readonly #receiver: Receiver;
  #honestKey = "";
  #stranger = "";
  #dataPlane = "";
  readonly #accountKeys = new Map<string, string>();

  private constructor(process: ChildProcess, url: string, receiver: Receiver, said: string[]) {
    this.#process = process;
    this.url = url;
    this.#receiver = receiver;
    this.hook = receiver.url;
    this.said = said;
  }

  /** Starts `weir serve` on these stores, and furnishes so many parties. */
  static async open(options: { databaseUrl: string; redisUrl: string; dataDir: string; parties: number }): Promise<Stage> {
    const receiver = await startReceiver((response) => void response.writeHead(204).end());
    const child = spawn(process.execPath, [join(ROOT, "src/cli/main.ts"), "serve"], {
      env: {
        ...process.env,
        DATABASE_URL: options.databaseUrl,
        REDIS_URL: options.redisUrl,
        WEIR_DATA_DIR: options.dataDir,
        WEIR_ADMIN_KEY: ADMIN_KEY,
        WEIR_TEST_CLOCK: "1",
        WEIR_WEBHOOK_ALLOW_PRIVATE: "1",
        WEIR_TRUST_PROXY: "1",
        PORT: "0",
        NODE_ENV: "test",
      },
      stdio: ["ignore", "pipe", "pipe"],
    });
    killWith(child);
    const said: string[] = [];
    createInterface(child.stderr).on("line", (line) => said.push(line));
    for await (const line of createInterface(child.stdout)) {
      const url = /ready at (\S+)/.exec(line)?.[1];
      if (url === undefined) continue;
      const stage = new Stage(child, url, receiver, said);
      await stage.#furnish(options.parties);
      return stage;
    }
    throw new Error(`Weir ended before it was ready: ${said.join("\n")}`);
  }

  get running(): boolean {
    return this.#process.exitCode === null && this.#process.signalCode === null;
  }

  /** Bytes in memory. */
  async memory(): Promise<number> {
    const { stdout } = await promisify(execFile)("ps", ["-o", "rss=", "-p", String(this.#process.pid)]);
    return Number(stdout) * 1024;
  }

  get honest(): { url: string; key: string; account: string } {
    return { url: this.url, key: this.#honestKey, account: HONEST_ACCOUNT };
  }

  keysOf(party: Party): Keys {
    return {
      operator: ADMIN_KEY,
      dataPlane: this.#dataPlane,
      account: this.#accountKeys.get(party.account) ?? "",
      readOnly: party.secret,
      stranger: this.#stranger,
    };
  }

  /** Runs all that is due, so that nothing moves by itself until the next request. */
  async settle(): Promise<void> {
    await this.#as(HONEST_ACCOUNT)("POST", "/v1/test/run-jobs");
  }

  async stop(): Promise<void> {
    const late = setTimeout(() => this.#process.kill("SIGKILL"), STOP_TIME_LIMIT_MS);
    if (this.running) {
      const ended = once(this.#process, "exit");
      this.#process.kill("SIGTERM");
      await ended;
    }
    clearTimeout(late);
    await this.#receiver.stop();
  }

  async #furnish(parties: number): Promise<void> {
    const operator = this.#as(HONEST_ACCOUNT);
    await operator("PUT", "/v1/test/clock", { now: PAST });
    const all = Array.from({ length: parties }, partyNames);
    for (const names of all) await putParty(this.#as(names.account), names);
    await operator("PUT", "/v1/test/clock", { now: PRESENT });
    for (const names of all) {
      const ask = this.#as(names.account);
      this.parties.push(await furnish(ask, names, { rollUp: () => operator("POST", "/v1/test/run-jobs"), hook: this.hook }));
      this.#accountKeys.set(names.account, await this.#newKey(names.account));
    }
    for (const account of [HONEST_ACCOUNT, "acct_stranger"]) await operator("PUT", `/v1/accounts/${account}`, { plan: "pro" });
    this.#honestKey = await this.#newKey(HONEST_ACCOUNT);
    this.#stranger = await this.#newKey("acct_stranger");
    this.#dataPlane = String((await operator("POST", "/v1/keys", { scope: "data_plane" }))["key"]);
  }

  async #newKey(account: string): Promise<string> {
    return String((await this.#as(account)("POST", `/v1/accounts/${account}/keys`, { scope: "account" }))["key"]);
  }

  #as(account: string): Ask {
    return asking(async (method, url, { body }) => {
      const response = await fetch(this.url + url, {
        method,
        headers: {
          authorization: `Bearer ${ADMIN_KEY}`,
          "weir-account": account,
          ...(body === undefined ? {} : { "content-type": "application/json" }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      return { status: response.status, body: (await response.json()) as Record<string, unknown> };
    }, account);
  }
}
