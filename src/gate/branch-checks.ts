import { branchName } from "../counters/branch-names.ts";
import type { Settled } from "../counters/branch-calls.ts";
import type { Counted } from "../counters/check-call.ts";
import { withoutLent } from "../counters/layout.ts";
import { monotonicMs } from "../kernel/clock.ts";
import { isUnavailable, NotSent, unavailable } from "../kernel/errors.ts";
import type { Period } from "../kernel/window.ts";
import { acknowledge } from "./acknowledge.ts";
import type { AccountLoader, GateStores } from "./account-loader.ts";
import { answerOf } from "./answer.ts";
import type { CheckRequest } from "./check-request.ts";
import type { Decision } from "./decision.ts";
import type { Granter } from "./granter.ts";
import { toOperation, usageOf } from "./operation.ts";
import type { QuickChecks } from "./quick-check.ts";

/** Rounds of load, look up, grant and fill before a branch is left aside. */
const ROUNDS_MAX = 64;
/** How long a branch that its home lends nothing is not asked for, milliseconds: near a limit all goes to the home. */
const UNLENT_MS = 100;
/** The same for one whose server does not answer. */
const AWAY_MS = 1_000;

type Usage = readonly (readonly [meter: string, quantity: number])[];

/** What is held at home and not for branches, by meter. */
type Reserved = Map<string, Record<Period, number>>;

/**
 * Checks of hot accounts that only count (docs/decisions/0041): each slot in its turn takes one. A branch decides out of what its home has
 * lent it, as the home does out of what Postgres has granted. It never denies: what it cannot allow is for the home to decide.
 */
export class BranchChecks {
  readonly #stores: GateStores;
  readonly #loader: AccountLoader;
  readonly #granter: Granter;
  readonly #quick: QuickChecks;
  readonly #turns = new Map<string, number>();
  /** By branch: until when it is left aside, by the monotonic clock. */
  readonly #aside = new Map<string, number>();
  readonly #filling = new Map<string, Promise<boolean>>();
  /** By branch that this process has filled. */
  readonly #reserved = new Map<string, Reserved>();
  /** The epoch that the account's home was last seen in. */
  readonly #epochs = new Map<string, number>();

  constructor(stores: GateStores, loader: AccountLoader, granter: Granter, quick: QuickChecks) {
    this.#stores = stores;
    this.#loader = loader;
    this.#granter = granter;
    this.#quick = quick;
  }

  isHot(account: string): boolean {
    return this.#stores.counters.branches.isHot(account);
  }

  /** Answers the decision where a branch allows it; null where the home is to decide. Throws `validation_failed` and `unavailable`. */
  check(request: CheckRequest, now: number): Promise<Decision | null> | null {
    if (!this.isHot(request.account) || request.idempotencyKey !== undefined || request.storageBytes !== undefined) return null;
    const index = this.#next(request.account);
    if (index === 0 || this.#isAside(branchName(request.account, index))) return null;
    const usage = usageOf(this.#stores.catalog.catalog, request);
    return usage.length === 0 ? null : this.#checkAt(request, index, usage, now);
  }

  /** Counters as the home's answer has them, without what is held for branches: that is no reservation. */
  async shown(account: string, names: readonly string[], reply: Counted, now: number): Promise<Counted> {
    if (!reply.meters.some(({ day, month }) => day.held + month.held > 0)) return reply;
    const home = await this.#stores.counters.branches.look(account, names, now);
    const meters = reply.meters.map((meter, i) => {
      const lent = home?.meters.get(names[i] ?? "")?.lent;
      return lent ? withoutLent(meter, lent) : meter;
    });
    return { ...reply, meters };
  }

  /** Before a decision that only says: has the home told what its branches have spent, as far as they can be reached. */
  async gather(account: string, now: number): Promise<void> {
    await this.#stores.counters.branches.gather(account, [], now);
  }

  #next(account: string): number {
    const slots = this.#stores.counters.branches.calls.hot.get(account) ?? 1;
    const turn = ((this.#turns.get(account) ?? Math.floor(monotonicMs())) + 1) % slots;
    this.#turns.set(account, turn);
    return turn;
  }

  #isAside(name: string): boolean {
    const until = this.#aside.get(name);
    return until !== undefined && monotonicMs() < until;
  }

  async #checkAt(request: CheckRequest, index: number, usage: Usage, now: number): Promise<Decision | null> {
    const name = branchName(request.account, index);
    if (!this.#reserved.has(name) && !(await this.#fill(request.account, index, usage, now))) return null;
    const otherwise = (): Promise<Decision | null> => this.#decide(request, index, usage, now);
    try {
      return await (this.#quick.check(request, now, otherwise, name) ?? otherwise());
    } catch (error) {
      if (isUnavailable(error)) this.#aside.set(name, monotonicMs() + AWAY_MS);
      // Nothing has happened there.
      if (error instanceof NotSent) return null;
      throw error;
    }
  }

  async #decide(request: CheckRequest, index: number, usage: Usage, now: number): Promise<Decision | null> {
    const { counters, recall, unbooked, catalog } = this.#stores;
    const { account } = request;
    const name = branchName(account, index);
    const operation = { ...toOperation(this.#stores, request, "consume", now), account: name };
    for (let round = 0; round < ROUNDS_MAX; round++) {
      const { generation } = recall;
      // A name of its own in each slot: under one name the greatest of its totals would be booked, and not their sum.
      operation.source = unbooked.source + name.slice(account.length);
      const reply = await counters.check(operation);
      if (reply.status === "load" && reply.reason === "lost") {
        await this.#loader.load(account, "lost", reply.epoch, now);
        continue;
      }
      if (reply.status === "load" || reply.status === "grant") {
        if (!(await this.#fill(account, index, usage, now))) return null;
        continue;
      }
      if (reply.status !== "allowed") return null;
      if (generation !== recall.generation) {
        // Called on meanwhile: our copies are booked without this answer, and whoever called takes them for complete.
        unbooked.renew();
        throw unavailable("A steady view of the account");
      }
      acknowledge(this.#stores, { ...operation, account }, reply);
      const shown = this.#withReserved(name, operation.usage, reply);
      const decision = answerOf(catalog.catalog, request, operation, shown, NONE);
      this.#quick.learn(operation, shown, decision);
      return decision;
    }
    throw unavailable("A steady view of the account");
  }

  #withReserved(name: string, usage: Usage, reply: Counted): Counted {
    const reserved = this.#reserved.get(name);
    const meters = reply.meters.map((meter, i) => {
      const held = reserved?.get(usage[i]?.[0] ?? "");
      return held ? { day: { ...meter.day, held: held.day }, month: { ...meter.month, held: held.month } } : meter;
    });
    return { ...reply, meters };
  }

  /** Has a branch lent what is needed, and more. One filling of a branch at a time; the others look again after it. */
  #fill(account: string, index: number, usage: Usage, now: number): Promise<boolean> {
    const name = branchName(account, index);
    const running = this.#filling.get(name);
    if (running) return running;
    const filling = this.#fillNow(account, index, usage, now)
      .catch((error: unknown) => {
        if (!isUnavailable(error)) throw error;
        // Nothing was counted on the way: the home decides.
        this.#aside.set(name, monotonicMs() + AWAY_MS);
        return false;
      })
      .finally(() => this.#filling.delete(name));
    this.#filling.set(name, filling);
    return filling;
  }

  async #fillNow(account: string, index: number, usage: Usage, now: number): Promise<boolean> {
    const { catalog, counters } = this.#stores;
    const { calls } = counters.branches;
    const name = branchName(account, index);
    const meters = catalog.catalog.meters.flatMap((meter) => (meter.kind === "counter" ? [meter.name] : []));
    const ask = { index, needs: new Map(usage) };
    for (let round = 0; round < ROUNDS_MAX; round++) {
      const standing = await calls.read(account, index, this.#epochs.get(account) ?? 0);
      const home = await calls.settle(account, { now, catalogVersion: catalog.version, meters, standings: [standing], ask });
      if (home.status === "load") {
        await this.#loader.load(account, home.reason, home.epoch, now);
        continue;
      }
      this.#epochs.set(account, home.header.epoch);
      if (home.lost.length > 0) await this.#loader.load(account, "lost", home.header.epoch, now);
      else if (standing.header?.epoch !== home.header.epoch) continue;
      else if (home.status === "none") break;
      else if (home.status === "grant") await this.#grant(account, home, now);
      else if (await calls.fill(account, standing, home)) {
        this.#reserved.set(name, reservedOf(home));
        return true;
      }
    }
    this.#aside.set(name, monotonicMs() + UNLENT_MS);
    return false;
  }

  async #grant(account: string, { header, meters }: Settled, now: number): Promise<void> {
    const needs = [...meters].flatMap(([meter, { quantity, counters }]) =>
      quantity > 0 ? [{ meter, quantity, counters, gauge: false }] : [],
    );
    if (!(await this.#granter.ask(account, header, needs))) await this.#loader.reinstate(account, header.epoch, now);
  }
}

function reservedOf({ meters }: Settled): Reserved {
  const of = ({ counters, lent }: { counters: Counted["meters"][number]; lent: Record<Period, number> }, period: Period): number =>
    Math.max(0, counters[period].held - lent[period]);
  return new Map([...meters].map(([name, meter]) => [name, { day: of(meter, "day"), month: of(meter, "month") }]));
}

const NONE: ReadonlySet<string> = new Set();
