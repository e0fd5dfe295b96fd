import * as fc from "fast-check";
import { sleep } from "../../src/kernel/clock.ts";
import { differences, type Digester } from "./digest.ts";
import type { HonestClient } from "./honest-client.ts";
import { Lane, type Outcome } from "./lane.ts";
import { troubleOf } from "./log-line.ts";
import { requestsAbout, type FuzzRequest } from "./requests.ts";
import type { Stage } from "./stage.ts";

/** Requests between two looks at everything. */
const BATCH = 200;
/** Clients that send at the same time. */
const LANES = 4;
/** How often what was refused among changes is asked again by itself until nothing but refusals is left. */
const ALONE_ROUNDS_MAX = 4;
/** How often a request that was late is sent again before it counts as one that hangs. */
const LATE_AGAIN_MAX = 3;
/** How long the honest client is undisturbed between two batches. */
const CALM_MS = 300;
/** Between an answer and the next request of a client: attackers are many and slow, not one process as fast as ours. */
const PAUSE_MS = 5;
/** Batches between two words on how far it has come. */
const TOLD_EVERY = 25;
/** Faults that are told in full. */
const FAULTS_TOLD_MAX = 25;

export interface Campaign {
  stage: Stage;
  digester: Digester;
  honest: HonestClient | null;
  runs: number;
  seed: number;
  /** From when on an answer is a hang. */
  hangMs: number;
  say: (line: string) => void;
}

export interface CampaignResult {
  sent: number;
  /** Answers by status; "closed" where the connection ended without one. */
  statuses: ReadonlyMap<string, number>;
  faults: number;
  /** Requests that were late once, and not when they were sent again. */
  lateOnce: number;
  /** Looks between which something moved that was no refusal's doing. */
  movedMeanwhile: number;
  /** Refusals that were seen to change nothing. */
  provedRefusals: number;
  /** Refusals that always came together with a change, so that nothing could be compared. */
  unprovedRefusals: number;
  /** Bytes of the process after each batch. */
  memory: readonly number[];
  slowestMs: number;
}

/** Sends `runs` requests and looks, batch by batch, whether a refusal has changed anything. Ends early when the process does. */
export async function fuzz(campaign: Campaign): Promise<CampaignResult> {
  const { stage, runs, seed } = campaign;
  const run = new Run(campaign);
  for (let batch = 0; run.sent < runs && stage.running; batch++) {
    const party = stage.parties[batch % stage.parties.length];
    if (!party) throw new Error("nobody to ask about");
    const requests = fc.sample(requestsAbout(party, stage.keysOf(party), stage.hook), { seed: seed + batch, numRuns: BATCH });
    await run.batch(requests);
    if ((batch + 1) % TOLD_EVERY === 0) campaign.say(`${run.sent} of ${runs} requests are sent`);
  }
  run.end();
  return run.result();
}

class Run {
  readonly #campaign: Campaign;
  readonly #lanes: Lane[];
  readonly #statuses = new Map<string, number>();
  readonly #memory: number[] = [];
  #faults = 0;
  #late = 0;
  #moved = 0;
  #proved = 0;
  #unproved = 0;
  #slowestMs = 0;
  sent = 0;

  constructor(campaign: Campaign) {
    this.#campaign = campaign;
    this.#lanes = Array.from({ length: LANES }, () => new Lane(campaign.stage.url, campaign.hangMs));
  }

  async batch(requests: readonly FuzzRequest[]): Promise<void> {
    const { stage, honest } = this.#campaign;
    honest?.order("alone");
    if (honest) await sleep(CALM_MS);
    let refused = (await this.#sendAll(requests)).filter(isRefusal);
    for (let round = 0; refused.length > 0 && stage.running; round++) {
      if (round === ALONE_ROUNDS_MAX) {
        this.#unproved += refused.length;
        break;
      }
      const again = await this.#sendAlone(refused.map(({ request }) => request));
      refused = again.changed ? again.outcomes.filter(isRefusal) : [];
    }
    if (stage.running) this.#memory.push(await stage.memory());
  }

  end(): void {
    for (const lane of this.#lanes) lane.end();
  }

  result(): CampaignResult {
    return {
      sent: this.sent,
      statuses: this.#statuses,
      faults: this.#faults,
      lateOnce: this.#late,
      movedMeanwhile: this.#moved,
      provedRefusals: this.#proved,
      unprovedRefusals: this.#unproved,
      memory: this.#memory,
      slowestMs: this.#slowestMs,
    };
  }

  /** Sends what was refused before. Where it is refused again, all of it, everything must be as it was. */
  async #sendAlone(requests: readonly FuzzRequest[]): Promise<{ outcomes: Outcome[]; changed: boolean }> {
    const { digester } = this.#campaign;
    if (!(await this.#settled())) return { outcomes: [], changed: false };
    const before = await digester.take();
    const outcomes = await this.#sendAll(requests);
    if (outcomes.some((outcome) => !isRefusal(outcome))) return { outcomes, changed: true };
    const changed = differences(before, await digester.take());
    if (changed.length === 0 || (await this.#isInnocent(requests, changed))) this.#proved += outcomes.length;
    return { outcomes, changed: false };
  }

  /** False, and a fault, where what is due cannot be run. */
  async #settled(): Promise<boolean> {
    try {
      await this.#campaign.stage.settle();
      return true;
    } catch (error) {
      this.#tell(error instanceof Error ? error.message : String(error), undefined);
      return false;
    }
  }

  /**
   * Whether it was something else that moved between the two looks: a State object that went to sleep, say, which takes its own time. Each
   * is sent again by itself, then all together: a refusal that changes something does so again. False, and a fault, where one does.
   */
  async #isInnocent(requests: readonly FuzzRequest[], changed: readonly string[]): Promise<boolean> {
    const { digester } = this.#campaign;
    if (!(await this.#settled())) return false;
    let before = await digester.take();
    for (const group of [...requests.map((request) => [request]), requests]) {
      const [outcome] = await this.#sendAll(group);
      const after = await digester.take();
      const by = differences(before, after);
      before = after;
      if (by.length === 0) continue;
      this.#tell(`${group.length} refused changed ${shortList(by)}, after all together had changed ${shortList(changed)}`, outcome);
      return false;
    }
    this.#moved += 1;
    return true;
  }

  async #sendAll(requests: readonly FuzzRequest[]): Promise<Outcome[]> {
    const { honest } = this.#campaign;
    const outcomes: Outcome[] = [];
    const left = requests.filter(({ alone }) => !alone).values();
    honest?.order("attacked");
    await Promise.all(
      this.#lanes.map(async (lane) => {
        for (const request of left) {
          if (!this.#campaign.stage.running) return;
          outcomes.push(this.#noted(await this.#sendPatiently(lane, request)));
          await sleep(PAUSE_MS);
        }
      }),
    );
    await honest?.rest();
    const [lane] = this.#lanes;
    for (const request of requests.filter(({ alone }) => alone))
      if (lane && this.#campaign.stage.running) outcomes.push(this.#noted(await this.#sendPatiently(lane, request)));
    return outcomes;
  }

  /** Sends again what was late, since the whole machine may have been busy: a request that hangs, hangs each time. */
  async #sendPatiently(lane: Lane, request: FuzzRequest): Promise<Outcome> {
    const outcome = await lane.send(request);
    if (!outcome.late) return outcome;
    this.#late += 1;
    for (let again = 0; again < LATE_AGAIN_MAX; again++) {
      const next = await lane.send(request);
      if (next.fault !== null) return next;
      if (!next.late) return outcome;
    }
    return { ...outcome, fault: `took ${Math.round(outcome.tookMs)} ms, and too long whenever it was sent again` };
  }

  #noted(outcome: Outcome): Outcome {
    this.sent += 1;
    this.#slowestMs = Math.max(this.#slowestMs, outcome.tookMs);
    const status = outcome.status === null ? "closed" : String(outcome.status);
    this.#statuses.set(status, (this.#statuses.get(status) ?? 0) + 1);
    if (outcome.fault !== null) this.#tell(outcome.fault, outcome);
    return outcome;
  }

  #tell(fault: string, outcome: Outcome | undefined): void {
    this.#faults += 1;
    if (this.#faults > FAULTS_TOLD_MAX) return;
    this.#campaign.say(`✗ ${outcome?.request.operation ?? ""}: ${fault}`);
    if (outcome) this.#campaign.say(`    ${shown(outcome.request.bytes)}\n    ${outcome.body.slice(0, 300)}`);
    const logged = this.#campaign.stage.said.at(-1);
    if (outcome?.status === 500 && logged !== undefined) this.#campaign.say(`    ${troubleOf(logged)}`);
  }
}

const shortList = (names: readonly string[]): string => names.slice(0, 5).join(", ");

/**
 * Neither an answer that may have changed something nor one that says so. A key that is not there was looked for: that is metered, as the
 * price list says, and so it is no refusal.
 */
const isRefusal = ({ status, body, request }: Outcome): boolean =>
  status === null || (status >= 400 && status < 500 && !(status === 404 && (body.includes('"detail":"Key ') || isHeadOfValue(request))));

/** Its answer says nothing of why. */
const isHeadOfValue = ({ method, bytes }: FuzzRequest): boolean =>
  method === "HEAD" && /^HEAD \S*\/values\//.test(bytes.toString("latin1"));

const SHOWN_MAX = 1_500;
const shown = (bytes: Buffer): string => JSON.stringify(bytes.subarray(0, SHOWN_MAX).toString("latin1"));
