import { createMeter, WeirUnavailable, type Meter } from "../../src/client/index.ts";
import { monotonicMs, sleep } from "../../src/kernel/clock.ts";
import type { Random } from "../../src/replay/random.ts";
import { Latencies } from "../bench/latencies.ts";
import { ADMIN_KEY, type Stage } from "./stage.ts";
import { add, REQUESTS, ROWS, STORED, type Demand, COUNTS, type Tenant } from "./tenants.ts";

/** Of 100 operations; the rest are checks without a key. */
const SHARES = { leased: 15, keyed: 25, storage: 10, event: 5 };
/** Of those that are not leased, so many go to accounts with hard limits. */
const TIGHT_SHARE = 0.15;
const UNITS_MAX = 5;
const ROWS_MAX = 4;
const BYTES_MAX = 2_000;
const OBJECTS = 20;
/** Data planes that hold leases. */
const HOLDERS = 2;
const CLIENT_TIMEOUT_MS = 5_000;
/** An answer that was not there is asked for again under its key, a second later and then twice as late each time, so often. */
const AGAIN_MAX = 30;
const AGAIN_FIRST_MS = 1_000;
const AGAIN_LAST_MS = 8_000;
const FAULTS_MAX = 200;

/** What one phase of the soak saw. */
export interface Phase {
  latencies: Latencies;
  /** Requests answered 503, by what they said. */
  unavailable: Map<string, number>;
}

export type PhaseName = "calm" | "rolling" | "failover";

/** All callers, and what they saw. */
export class Traffic {
  /** What no caller should see: other answers, contradictions, no answer in the end; the first of them. */
  readonly faults: string[] = [];
  faultCount = 0;
  phases: Record<PhaseName, Phase> = { calm: newPhase(), rolling: newPhase(), failover: newPhase() };
  /** What happens to Weir now. */
  isRolling = false;
  isFailingOver = false;
  /** When the last 503 was answered, monotonic. */
  lastUnavailableAt = 0;
  sent = 0;
  keyed = 0;
  /** Sent again under its key, after a 503 or a broken connection. */
  again = 0;
  readonly meters: readonly Meter[];
  readonly #stage: Stage;
  readonly #random: Random;
  readonly #name: string;
  #open: Tenant[] = [];
  #tight: Tenant[] = [];
  #leased: Tenant[] = [];

  constructor(stage: Stage, random: Random, name: string) {
    this.#stage = stage;
    this.#random = random;
    this.#name = name;
    const { fetch } = stage.balancer;
    this.meters = Array.from({ length: HOLDERS }, () =>
      createMeter({ url: "http://weir", key: ADMIN_KEY, fetch, timeoutMs: CLIENT_TIMEOUT_MS }),
    );
  }

  join(tenants: readonly Tenant[]): void {
    this.#leased.push(...tenants.filter(({ leased }) => leased));
    this.#tight.push(...tenants.filter(({ leased, limits }) => !leased && limits.length > 0));
    this.#open.push(...tenants.filter(({ leased, limits }) => !leased && limits.length === 0));
  }

  /** One operation, of any kind, until its outcome is known or cannot be. */
  async operation(): Promise<void> {
    this.sent += 1;
    const roll = this.#random() * 100;
    const kinds = [
      [SHARES.leased, () => this.#leasedCheck()],
      [SHARES.keyed, () => this.#check(true)],
      [SHARES.storage, () => this.#store()],
      [SHARES.event, () => this.#event()],
    ] as const;
    let below = 0;
    for (const [share, send] of kinds) if (roll < (below += share)) return send();
    return this.#check(false);
  }

  get phase(): PhaseName {
    if (this.isFailingOver) return "failover";
    return this.isRolling ? "rolling" : "calm";
  }

  /** Requests answered 503 so far. */
  get unavailableCount(): number {
    return Object.values(this.phases).reduce((n, { unavailable }) => n + [...unavailable.values()].reduce((m, times) => m + times, 0), 0);
  }

  /** Forgets how it went so far. What was counted stands. */
  beginAnew(): void {
    this.phases = { calm: newPhase(), rolling: newPhase(), failover: newPhase() };
  }

  /** Ends the data planes: what they hold is given back. */
  async close(): Promise<void> {
    await Promise.all(this.meters.map((meter) => meter.close()));
  }

  #fault(what: string): void {
    this.faultCount += 1;
    if (this.faults.length < FAULTS_MAX) this.faults.push(what);
  }

  #whole(max: number): number {
    return 1 + Math.floor(this.#random() * max);
  }

  #pick<T>(from: readonly T[]): T {
    const chosen = from[Math.floor(this.#random() * from.length)];
    if (chosen === undefined) throw new Error("nobody to pick");
    return chosen;
  }

  #tenant(): Tenant {
    return this.#pick(this.#tight.length > 0 && this.#random() < TIGHT_SHARE ? this.#tight : this.#open);
  }

  async #leasedCheck(): Promise<void> {
    const tenant = this.#pick(this.#leased);
    const usage = { [REQUESTS]: this.#whole(UNITS_MAX) };
    try {
      this.#note(tenant, (await this.#pick(this.meters).check({ account: tenant.account, usage })).allowed, usage);
    } catch (error) {
      if (!(error instanceof WeirUnavailable)) return this.#fault(`${tenant.account}: ${String(error)}`);
      this.#unavailable(error.message);
      add(tenant.unknown, usage);
    }
  }

  async #check(isKeyed: boolean): Promise<void> {
    const tenant = this.#tenant();
    const usage = { [REQUESTS]: this.#whole(UNITS_MAX), ...(this.#random() < 0.5 ? { [ROWS]: this.#whole(ROWS_MAX) } : {}) };
    await this.#decide(tenant, { account: tenant.account, service: "api", namespace: "Room", usage }, { usage, isKeyed });
  }

  async #store(): Promise<void> {
    const tenant = this.#tenant();
    const delta = this.#whole(BYTES_MAX);
    const body = { account: tenant.account, service: "api", namespace: "Room", object: `room-${this.#whole(OBJECTS)}` };
    await this.#decide(
      tenant,
      { ...body, usage: { [ROWS]: 1 }, storageBytes: { delta } },
      { usage: { [ROWS]: 1, [STORED]: delta }, isKeyed: true },
    );
  }

  async #decide(tenant: Tenant, body: object, { usage, isKeyed }: { usage: Record<string, number>; isKeyed: boolean }): Promise<void> {
    const key = isKeyed ? { idempotencyKey: this.#newKey() } : {};
    const answer = await this.#asked("/v1/check", { ...body, ...key }, isKeyed);
    if (answer === null) return add(tenant.unknown, usage);
    const { allowed } = answer as { allowed?: boolean };
    if (allowed === undefined) return this.#fault(`${tenant.account}: ${JSON.stringify(answer).slice(0, 300)}`);
    this.#note(tenant, allowed, usage);
  }

  async #event(): Promise<void> {
    // Of what has happened already: a limit does not stop it, so it is not for those who have one.
    const tenant = this.#pick(this.#open);
    const usage = { [REQUESTS]: this.#whole(UNITS_MAX) };
    const event = { specversion: "1.0", id: this.#newKey(), source: "soak", type: "weir.usage", subject: tenant.account, data: { usage } };
    const answer = (await this.#asked("/v1/events", event, true)) as { accepted: number; duplicates: number } | null;
    if (answer === null) return add(tenant.unknown, usage);
    if (answer.accepted + answer.duplicates !== 1) return this.#fault(`${tenant.account}: ${JSON.stringify(answer).slice(0, 300)}`);
    this.#note(tenant, true, usage);
  }

  #note(tenant: Tenant, allowed: boolean, usage: Readonly<Record<string, number>>): void {
    if (allowed) {
      tenant.allowed += 1;
      return add(tenant.acknowledged, usage);
    }
    tenant.denied += 1;
    if (tenant.limits.length === 0) this.#fault(`${tenant.account} was denied, and nothing limits it`);
  }

  #newKey(): string {
    return `${this.#name}-${++this.keyed}`;
  }

  #unavailable(says: string): void {
    add(this.phases[this.phase].unavailable, { [says]: 1 });
    this.lastUnavailableAt = monotonicMs();
  }

  /** The body of a 2xx; null where it stays unknown whether it was carried out. */
  async #asked(path: string, body: object, mayAskAgain: boolean): Promise<unknown> {
    const text = JSON.stringify(body);
    for (let tries = 0; ; tries++) {
      const from = monotonicMs();
      // What broke is counted where it broke.
      const answer = await this.#stage.balancer.ask({ method: "POST", path, key: ADMIN_KEY, body: text }).catch(() => null);
      if (answer !== null && answer.status < 300) {
        this.phases[this.phase].latencies.add(monotonicMs() - from);
        return JSON.parse(answer.text);
      }
      if (answer?.status === 503) this.#unavailable((JSON.parse(answer.text) as { detail: string }).detail);
      else if (answer !== null) {
        this.#fault(`${path}: ${answer.status} ${answer.text.slice(0, 300)}`);
        return null;
      }
      if (!mayAskAgain) return null;
      if (tries === AGAIN_MAX) {
        this.#fault(`${path}: no answer in the end: ${text.slice(0, 300)}`);
        return null;
      }
      this.again += 1;
      await sleep(Math.min(AGAIN_LAST_MS, AGAIN_FIRST_MS * 2 ** tries) * (0.5 + this.#random()));
    }
  }
}

const newPhase = (): Phase => ({ latencies: new Latencies(), unavailable: new Map() });

/** What one account with hard limits asks for in so many operations, on average. */
export function demandOf(operations: number): Demand {
  const mean = (max: number): number => (1 + max) / 2;
  const [leased, storage] = [SHARES.leased / 100, SHARES.storage / 100];
  const checks = 1 - leased - storage - SHARES.event / 100;
  const each = (operations * TIGHT_SHARE) / COUNTS.tight;
  return {
    tight: {
      [REQUESTS]: each * checks * mean(UNITS_MAX),
      [ROWS]: each * (checks * 0.5 * mean(ROWS_MAX) + storage),
      [STORED]: each * storage * mean(BYTES_MAX),
    },
    leased: ((operations * leased) / (COUNTS.leased + COUNTS.leasedTight)) * mean(UNITS_MAX),
  };
}
