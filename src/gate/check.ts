import type { Counted, Operation } from "../counters/check-call.ts";
import { unavailable, unlessUnavailable, WeirError } from "../kernel/errors.ts";
import { DAY_MS, dayWindow } from "../kernel/window.ts";
import { bookedAnswer, objectLevel } from "../ledger/ledger-store.ts";
import { acknowledge, acknowledgeKey } from "./acknowledge.ts";
import { AccountLoader, type GateStores } from "./account-loader.ts";
import { BranchChecks } from "./branch-checks.ts";
import { answerOf, replayedAnswer } from "./answer.ts";
import type { CheckRequest } from "./check-request.ts";
import { wishFor, type CreditAnswer, type CreditRaises } from "./credit-limits.ts";
import type { Decision } from "./decision.ts";
import type { Granter, Need } from "./granter.ts";
import { HolderRecall, onlyHeld } from "./holder-recall.ts";
import { ReplayBooker } from "./replay-booker.ts";
import { placeOfObject, toOperation } from "./operation.ts";
import { QuickChecks } from "./quick-check.ts";
import { seenToStand } from "./still-stands.ts";

/** Rounds of load, look up and grant before a check gives up: a first touch needs three; of 2,000 at once, the last wait for a dozen grants. */
const ROUNDS_MAX = 64;
/** How a reservation ended is remembered this long: a repeated settle gets its first answer. */
export const ENDING_KEPT_MS = DAY_MS;

/** Decides operations on the Redis path. */
export class Decider {
  readonly #stores: GateStores;
  readonly #loader: AccountLoader;
  readonly #granter: Granter;
  readonly #credits: CreditRaises;
  readonly #holders: HolderRecall;
  readonly #replays: ReplayBooker;
  readonly #quick: QuickChecks;
  readonly #branches: BranchChecks;

  constructor(stores: GateStores, loader: AccountLoader, granter: Granter, credits: CreditRaises) {
    this.#stores = stores;
    this.#loader = loader;
    this.#granter = granter;
    this.#credits = credits;
    this.#holders = new HolderRecall(stores.counters);
    this.#replays = new ReplayBooker(stores);
    this.#quick = new QuickChecks(stores);
    this.#branches = new BranchChecks(stores, loader, granter, this.#quick);
  }

  /**
   * Decides one operation against every limit and counts or holds it: all meters or none. A denial is an answer, not an error.
   * Throws, or rejects with, `validation_failed`, `not_found` (account), `idempotency_mismatch`, and `unavailable` when nothing could be decided.
   */
  decide(request: CheckRequest, mode: Operation["mode"], now: number): Promise<Decision> {
    const atHome = (): Promise<Decision> => this.#decideAtHome(request, mode, now);
    const atBranch = mode === "consume" ? this.#branches.check(request, now) : null;
    return atBranch === null ? atHome() : atBranch.then((allowed) => allowed ?? atHome());
  }

  #decideAtHome(request: CheckRequest, mode: Operation["mode"], now: number): Promise<Decision> {
    const otherwise = (): Promise<Decision> => this.#decideWholly(request, mode, now);
    const quick = mode === "consume" ? this.#quick.check(request, now, otherwise) : null;
    return quick ?? otherwise();
  }

  async #decideWholly(request: CheckRequest, mode: Operation["mode"], now: number): Promise<Decision> {
    const stores = this.#stores;
    const operation = toOperation(stores, request, mode, now);
    const home = { isTold: mode === "peek" };
    if (home.isTold) await this.#tellHome(request.account, now);
    operation.tentative = this.#credits.anywhere || this.#branches.isHot(request.account);
    for (let round = 0; round < ROUNDS_MAX; round++) {
      const { generation } = stores.recall;
      operation.source = stores.unbooked.source;
      const reply = await stores.counters.check(operation);
      if (generation !== stores.recall.generation && reply.status !== "load") {
        // What has no header has counted nothing and is asked again.
        const seen = "header" in reply ? await seenToStand(stores, request.account, reply.header.epoch) : NaN;
        if (seen !== stores.recall.generation) {
          if (reply.status !== "allowed" || isRepeatable(operation)) continue;
          throw unavailable("A steady view of the account");
        }
      }
      switch (reply.status) {
        case "load":
          await this.#loader.load(request.account, reply.reason, reply.epoch, now);
          break;
        case "object":
          await this.#lookUpObject(operation, reply.epoch);
          break;
        case "key":
          await this.#lookUpKey(operation, reply.epoch);
          break;
        case "keys-full":
          throw keysFull(now);
        case "expire":
          await stores.counters.expire(request.account, now, now + ENDING_KEPT_MS);
          break;
        case "grant":
          if (!(await this.#granter.ask(request.account, reply.header, needsOf(operation, reply)))) {
            await this.#loader.reinstate(request.account, reply.header.epoch, now);
          }
          break;
        case "replayed":
          if (!Buffer.isBuffer(operation.idempotency?.booked)) await this.#replays.book(request.account, now);
          return this.#replayed(request, operation, reply.answer, now);
        case "mismatch":
          throw mismatch();
        case "denied": {
          if (await this.#turnToBranches(request, operation, reply, home, now)) break;
          const { raised, credited } = await this.#raise(operation, reply, now);
          // Only once no limit moves any more is a denial kept for the key.
          const isKept = !operation.tentative || operation.idempotency === null;
          operation.tentative = raised;
          if (raised || !isKept) break;
          acknowledgeKey(stores.unbooked, operation, reply);
          return this.#answer(request, operation, await this.#shown(operation, reply, now), now, credited);
        }
        case "allowed":
          acknowledge(stores, operation, reply);
          acknowledgeKey(stores.unbooked, operation, reply);
          return this.#answer(request, operation, await this.#shown(operation, reply, now), now);
      }
    }
    throw unavailable("A steady view of the account");
  }

  /**
   * What a hot account's branches have not spent is its own to spend; and a denial by what the home knows alone is to show what they have.
   * Answers whether to ask again.
   */
  async #turnToBranches(
    request: CheckRequest,
    operation: Operation,
    reply: Counted,
    home: { isTold: boolean },
    now: number,
  ): Promise<boolean> {
    // Where the denial is kept for a key already, it stands.
    const isOpen = operation.tentative || operation.idempotency === null;
    if (!isOpen || !this.#branches.isHot(request.account)) return false;
    if (await this.#drawBack(request, operation, reply, now)) return true;
    const isTold = home.isTold;
    home.isTold = true;
    if (!isTold) await this.#tellHome(request.account, now);
    return !isTold;
  }

  async #tellHome(account: string, now: number): Promise<void> {
    if (this.#branches.isHot(account)) await this.#branches.gather(account, now).catch(unlessUnavailable);
  }

  /** Draws back what was lent to branches where nothing else than what is held refuses, and where the answer is kept as it is. */
  async #drawBack(request: CheckRequest, operation: Operation, reply: Counted, now: number): Promise<boolean> {
    const { denials } = answerOf(this.#stores.catalog.catalog, request, operation, reply, NONE);
    const names = operation.usage.map(([meter]) => meter);
    const isDrawn = operation.idempotency === null ? denials.every(onlyHeld) : denials.some(({ reserved }) => reserved > 0);
    return isDrawn && this.#loader.drawBack(request.account, now, names);
  }

  /** Has credits set aside for counters that stand at the plan's limit of the month. */
  #raise({ account, usage }: Operation, { header, meters }: Counted, now: number): Promise<CreditAnswer> {
    const month = new Map(usage.map(([meter], i) => [meter, meters[i]?.month]));
    return this.#credits.raise(account, wishFor(usage, month, false), header, now);
  }

  async #replayed(request: CheckRequest, operation: Operation, kept: string, now: number): Promise<Decision> {
    const credited = await this.#credits.creditedBy(request.account, now);
    return replayedAnswer(this.#stores.catalog.catalog, request, operation, kept, credited);
  }

  #shown({ account, usage, idempotency }: Operation, reply: Counted, now: number): Counted | Promise<Counted> {
    // The answer that is kept for a key is the script's: the first one and its repeats are one.
    if (!this.#branches.isHot(account) || idempotency !== null) return reply;
    const names = usage.map(([meter]) => meter);
    // It is counted by now, and the answer is only shown otherwise.
    return this.#branches.shown(account, names, reply, now).catch(() => reply);
  }

  #answer(request: CheckRequest, operation: Operation, reply: Counted, now: number, credited: ReadonlySet<string> = NONE): Decision {
    const decision = answerOf(this.#stores.catalog.catalog, request, operation, reply, credited);
    if (decision.allowed) this.#quick.learn(operation, reply, decision);
    else this.#holders.call(request.account, decision.denials, now);
    return decision;
  }

  async #lookUpObject(operation: Operation, epoch: number): Promise<void> {
    const { account, object, storage } = operation;
    beginAsking(operation, epoch);
    if (storage) storage.bookedLevel = await objectLevel(this.#stores.db, account, storage.meter, placeOfObject(object));
  }

  async #lookUpKey(operation: Operation, epoch: number): Promise<void> {
    const { account, idempotency } = operation;
    beginAsking(operation, epoch);
    if (idempotency) idempotency.booked = (await bookedAnswer(this.#stores.db, account, idempotency.field)) ?? "none";
  }
}

/**
 * What Postgres says of a size or a key holds in the life in which it was asked. While a check waited, others may have counted in that life, and
 * a lost Redis left it to Postgres: 9 of 576 accounts had a write's bytes less after one failover.
 */
function beginAsking(operation: Operation, epoch: number): void {
  if (operation.askedIn === epoch) return;
  operation.askedIn = epoch;
  if (operation.storage) operation.storage.bookedLevel = null;
  if (operation.idempotency?.booked === "none") operation.idempotency.booked = null;
}

/** Of a life that is over: a key finds its answer, a hold holds nothing, a look has counted nothing. What was counted may be booked. */
const isRepeatable = ({ mode, idempotency }: Operation): boolean => idempotency !== null || mode === "reserve" || mode === "peek";

const keysFull = (now: number): WeirError =>
  new WeirError(
    "rate_limited",
    "The account has used as many idempotency keys today as are kept; use none, or wait for the next UTC day.",
    {
      retryAfterSeconds: Math.ceil((dayWindow(now).end - now) / 1000),
    },
  );

const mismatch = (): WeirError =>
  new WeirError("idempotency_mismatch", "This idempotencyKey was used for a different request; use a new key for a new operation.");

const NONE: ReadonlySet<string> = new Set();

function needsOf(operation: Operation, reply: Counted): Need[] {
  const growth = Math.max(0, reply.objectAfter - reply.objectBefore);
  const asked = operation.storage ? [...operation.usage, [operation.storage.meter, growth] as const] : operation.usage;
  return asked.flatMap(([meter, quantity], i) => {
    const counters = reply.meters[i];
    return counters && quantity > 0 ? [{ meter, quantity, counters, gauge: i >= operation.usage.length }] : [];
  });
}
