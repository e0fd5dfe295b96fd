import type { Counted, Operation } from "../counters/check-call.ts";
import type { QuickOperation } from "../counters/quick-calls.ts";
import { Shapes } from "../counters/quick-shape.ts";
import { unavailable } from "../kernel/errors.ts";
import { newId } from "../kernel/ids.ts";
import type { GateStores } from "./account-loader.ts";
import type { CheckRequest } from "./check-request.ts";
import type { Decision, MeterState } from "./decision.ts";
import { KnownAccounts, type KnownAccount, type KnownMeter } from "./known-accounts.ts";
import { hourOf, usageOf } from "./operation.ts";

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

  /** Answers the decision where it is allowed; null where nothing was counted and a full decision is needed. Throws as that one does. */
  check(request: CheckRequest, now: number): Promise<Decision | null> | null {
    const known = this.#known.get(request.account);
    if (!known || !this.#suits(request, known, now)) return null;
    const usage = usageOf(this.#stores.catalog.catalog, request);
    const meters = metersOf(usage, known);
    return meters && this.#count(request, usage, known, meters, now);
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

  async #count(
    { account, service = "", namespace = "", object }: CheckRequest,
    usage: readonly (readonly [string, number])[],
    known: KnownAccount,
    meters: readonly KnownMeter[],
    now: number,
  ): Promise<Decision | null> {
    const { counters, unbooked, objectRequests, recall } = this.#stores;
    const { generation } = recall;
    const place = `${service}/${namespace}`;
    let { source } = unbooked;
    const operation: QuickOperation = {
      stateKey: known.stateKey,
      totalsKey: known.totalsKey,
      shape: this.#shapes.of(usage),
      runId: known.runId,
      leave: known.leave,
      place,
      label: () => {
        ({ source } = unbooked);
        return `${known.epoch}/${source}/${known.bucket}/${place}/`;
      },
    };
    const rooms = await counters.quick.count(operation);
    if (!rooms) return null;
    if (generation !== recall.generation) {
      // Called on meanwhile: our copies are booked without this answer, and whoever called takes them for complete.
      unbooked.renew();
      throw unavailable("A steady view of the account");
    }
    for (const [meter, quantity] of usage) {
      if (quantity > 0) unbooked.add(account, source, known.epoch, known.bucket, place, meter, quantity);
    }
    if (object !== undefined) objectRequests.count(account, `${place}/${object}`, usage, now);
    return { allowed: true, decisionId: newId("dec"), reservation: null, denials: [], meters: statesAfter(usage, meters, rooms) };
  }
}

/** Null where one of them is not known, or there are none. */
function metersOf(usage: readonly (readonly [string, number])[], known: KnownAccount): KnownMeter[] | null {
  const meters: KnownMeter[] = [];
  for (const [name] of usage) {
    const meter = known.meters.get(name);
    if (!meter) return null;
    meters.push(meter);
  }
  return meters.length > 0 ? meters : null;
}

function statesAfter(
  usage: readonly (readonly [string, number])[],
  meters: readonly KnownMeter[],
  rooms: readonly number[],
): Record<string, MeterState> {
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
