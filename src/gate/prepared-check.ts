import type { Catalog } from "../catalog/catalog.ts";
import type { AccountLine, QuickOperation } from "../counters/quick-calls.ts";
import type { Shape, Shapes } from "../counters/quick-shape.ts";
import type { RunningTotal, UnbookedTotals } from "../ledger/unbooked.ts";
import type { CheckRequest } from "./check-request.ts";
import type { KnownAccount, KnownMeter } from "./known-accounts.ts";
import { usageOf } from "./operation.ts";

/** Kept of each account, 300 bytes each: an object is read, written, listed; more kinds of one account take turns. */
const PREPARED_MAX = 4;

/**
 * What checks of one known account have in common that count the same in the same place. A data plane sends the same few over and over:
 * to look up their meters, names and totals anew took as long as all else this process does for a check.
 */
export interface PreparedCheck {
  readonly catalog: Catalog;
  /** As they were asked for. */
  readonly service: string | undefined;
  readonly namespace: string | undefined;
  readonly operation: string | undefined;
  readonly isByOperation: boolean;
  readonly usage: readonly (readonly [meter: string, quantity: number])[];
  /** In the order of `usage`. */
  readonly meters: readonly KnownMeter[];
  readonly quick: PreparedOperation;
  /** Where its quantities are copied. */
  copies: Copies | null;
}

/** The totals that a check adds to, and by how much, for as long as this process counts under this name. */
interface Copies {
  readonly source: string;
  readonly totals: readonly { readonly total: RunningTotal; readonly quantity: number }[];
}

/** The prepared check that a request asks for; null where one of its meters is not known, or it names none. Throws `validation_failed`. */
export function preparedFor(known: KnownAccount, request: CheckRequest, catalog: Catalog, shapes: Shapes): PreparedCheck | null {
  for (const prepared of known.prepared) if (prepared.catalog === catalog && asks(request, prepared)) return prepared;
  const made = prepare(known, request, catalog, shapes);
  if (made) known.prepared = [made, ...known.prepared.slice(0, PREPARED_MAX - 1)];
  return made;
}

function asks({ service, namespace, operation, usage }: CheckRequest, prepared: PreparedCheck): boolean {
  if (service !== prepared.service || namespace !== prepared.namespace || operation !== prepared.operation) return false;
  if (usage === undefined || prepared.isByOperation) return usage === undefined && prepared.isByOperation;
  let at = 0;
  for (const meter in usage) {
    const named = prepared.usage[at++];
    if (named === undefined || named[0] !== meter || named[1] !== usage[meter]) return false;
  }
  return at === prepared.usage.length;
}

function prepare(known: KnownAccount, request: CheckRequest, catalog: Catalog, shapes: Shapes): PreparedCheck | null {
  const usage = usageOf(catalog, request);
  const meters = metersOf(usage, known);
  if (!meters) return null;
  const { service, namespace, operation } = request;
  const places = meters.map(({ place }) => place);
  const quick = new PreparedOperation(known, `${service ?? ""}/${namespace ?? ""}`, shapes.of(usage, places));
  return { catalog, service, namespace, operation, isByOperation: request.usage === undefined, usage, meters, quick, copies: null };
}

/** What quick.lua is asked for each time. */
class PreparedOperation implements QuickOperation {
  readonly stateKey: string;
  readonly totalsKey: string;
  readonly line: AccountLine;
  readonly runId: string;
  readonly leave: string;
  readonly epoch: number;
  readonly bucket: number;
  readonly place: string;
  readonly shape: Shape;
  #source = "";
  #label = "";

  constructor({ stateKey, totalsKey, line, runId, leave, epoch, bucket }: KnownAccount, place: string, shape: Shape) {
    this.stateKey = stateKey;
    this.totalsKey = totalsKey;
    this.line = line;
    this.runId = runId;
    this.leave = leave;
    this.epoch = epoch;
    this.bucket = bucket;
    this.place = place;
    this.shape = shape;
  }

  label(source: string): string {
    if (source !== this.#source) {
      this.#source = source;
      this.#label = `${this.epoch}/${source}/${this.bucket}/${this.place}/`;
    }
    return this.#label;
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

/** Keeps this process' copy of a prepared check that Redis has counted under the name `source`. */
export function copyPrepared(prepared: PreparedCheck, account: string, source: string, unbooked: UnbookedTotals): void {
  let { copies } = prepared;
  if (copies === null || copies.source !== source || copies.totals.some(({ total }) => total.isForgotten)) {
    copies = prepared.copies = { source, totals: totalsOf(prepared, account, source, unbooked) };
  }
  for (const { total, quantity } of copies.totals) total.quantity += quantity;
}

function totalsOf({ usage, quick }: PreparedCheck, account: string, source: string, unbooked: UnbookedTotals): Copies["totals"] {
  const { epoch, bucket, place } = quick;
  const counted = usage.filter(([, quantity]) => quantity > 0);
  return counted.map(([meter, quantity]) => ({ total: unbooked.total(account, source, epoch, bucket, place, meter), quantity }));
}
