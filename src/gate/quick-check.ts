import type { Counted, Operation } from "../counters/check-call.ts";
import type { Asker } from "../counters/quick-calls.ts";
import { Shapes } from "../counters/quick-shape.ts";
import { unavailable } from "../kernel/errors.ts";
import { newId } from "../kernel/ids.ts";
import type { GateStores } from "./account-loader.ts";
import type { CheckRequest } from "./check-request.ts";
import type { Decision, MeterState } from "./decision.ts";
import { KnownAccounts, type KnownAccount } from "./known-accounts.ts";
import { hourOf } from "./operation.ts";
import { copyPrepared, preparedFor, type PreparedCheck } from "./prepared-check.ts";
import { seenToStand } from "./still-stands.ts";

/** What is asked instead where nothing was counted. */
type Otherwise<T> = () => Promise<T>;

/**
 * Checks that only count, of accounts this process knows, with nothing in their way: no limit or end of a grant reached, nothing changed
 * but by spending. They cost a tenth of a full decision (docs/decisions/0009); whatever is not so is left to it.
 */
export class QuickChecks {
  readonly #stores: GateStores;
  readonly #known: KnownAccounts;
  readonly #shapes = new Shapes();

  constructor(stores: GateStores) {
    this.#stores = stores;
    this.#known = new KnownAccounts(stores.counters.keys);
  }

  /**
   * Answers the decision, or what `otherwise` does where nothing was counted; null where this way is not open. Throws as a full decision
   * does. `name` is where it is to be counted: at home, which has the account's name, or at one of its branches.
   */
  check<T>(request: CheckRequest, now: number, otherwise: Otherwise<T>, name = request.account): Promise<Decision | T> | null {
    const known = this.#known.get(name);
    if (!known || !this.#suits(request, known, now)) return null;
    const prepared = preparedFor(known, request, this.#stores.catalog.catalog, this.#shapes);
    if (!prepared) return null;
    this.#shapes.meet(prepared.quick.shape);
    const asked = new QuickCheck({ stores: this.#stores, request, prepared, name, now, otherwise });
    this.#stores.counters.quick.count(prepared.quick, asked);
    return asked.decision;
  }

  /** Remembers what a full decision has shown. */
  learn(operation: Operation, reply: Counted, decision: Decision): void {
    if (operation.mode !== "consume" && operation.mode !== "force") return;
    const names = operation.usage.map(([meter]) => meter);
    this.#known.learn(operation.account, operation.hour, reply, names, decision.meters);
  }

  #suits({ idempotencyKey, storageBytes, payloadBytes }: CheckRequest, known: KnownAccount, now: number): boolean {
    if (idempotencyKey !== undefined || storageBytes !== undefined) return false;
    if (payloadBytes !== undefined && known.payloadCeiling !== null && payloadBytes > known.payloadCeiling) return false;
    return now >= known.from && now < known.until && hourOf(now) === known.hour && this.#stores.catalog.version <= known.catalogVersion;
  }
}

interface QuickCheckParts<T> {
  readonly stores: GateStores;
  readonly request: CheckRequest;
  readonly prepared: PreparedCheck;
  /** Where it is counted. */
  readonly name: string;
  readonly now: number;
  readonly otherwise: Otherwise<T>;
}

/** One check on its way. An object and one promise: a closure for each turn it takes cost as much as its way through Redis' client. */
class QuickCheck<T> implements Asker {
  readonly decision: Promise<Decision | T>;
  readonly #resolve: (decision: Decision | Promise<T>) => void;
  readonly #reject: (error: unknown) => void;
  readonly #parts: QuickCheckParts<T>;
  readonly #generation: number;

  constructor(parts: QuickCheckParts<T>) {
    ({ promise: this.decision, resolve: this.#resolve, reject: this.#reject } = Promise.withResolvers<Decision | T>());
    this.#parts = parts;
    this.#generation = parts.stores.recall.generation;
  }

  /** Another in each slot: under one name the greatest of its totals would be booked, and not their sum. */
  source(): string {
    const { stores, request, name } = this.#parts;
    return stores.unbooked.source + name.slice(request.account.length);
  }

  counted(rooms: readonly number[], source: string): void {
    const { stores, name, prepared } = this.#parts;
    const { recall } = stores;
    if (this.#generation === recall.generation) return this.#acknowledge(rooms, source);
    void seenToStand(stores, name, prepared.quick.epoch).then((seen) => {
      if (seen === recall.generation) this.#acknowledge(rooms, source);
      else this.#reject(unavailable("A steady view of the account"));
    }, this.#reject);
  }

  notCounted(): void {
    this.#resolve(this.#parts.otherwise());
  }

  failed(error: unknown): void {
    this.#reject(error);
  }

  #acknowledge(rooms: readonly number[], source: string): void {
    const { stores, request, prepared, now } = this.#parts;
    const { account, object } = request;
    copyPrepared(prepared, account, source, stores.unbooked);
    if (object !== undefined) stores.objectRequests.count(account, `${prepared.quick.place}/${object}`, prepared.usage, now);
    this.#resolve({ allowed: true, decisionId: newId("dec"), reservation: null, denials: [], meters: statesAfter(prepared, rooms) });
  }
}

function statesAfter({ usage, meters }: PreparedCheck, rooms: readonly number[]): Record<string, MeterState> {
  const states: Record<string, MeterState> = {};
  for (let i = 0; i < usage.length; i++) {
    const [name] = usage[i] ?? [""];
    const meter = meters[i];
    if (!meter) continue;
    const { period, used, reserved, limit, remaining, resetsAt } = meter.state;
    const spent = meter.room - (rooms[i] ?? 0);
    states[name] = { period, used: used + spent, reserved, limit, remaining: remaining === null ? null : remaining - spent, resetsAt };
  }
  return states;
}
