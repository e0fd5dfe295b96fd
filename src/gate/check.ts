import { createHash } from "node:crypto";
import { operationUsage } from "../catalog/operation.ts";
import { findMeter } from "../catalog/catalog.ts";
import type { Counted, Operation } from "../counters/counters.ts";
import { unavailable, validationFailed, WeirError, type FieldError } from "../kernel/errors.ts";
import { newId } from "../kernel/ids.ts";
import { HOUR_MS } from "../kernel/window.ts";
import { objectLevel } from "../ledger/ledger-store.ts";
import { AccountLoader, type GateStores } from "./account-loader.ts";
import type { CheckRequest } from "./check-request.ts";
import { answerOf, replayedAnswer } from "./answer.ts";
import type { Decision } from "./decision.ts";
import { Granter } from "./granter.ts";

/** Rounds of load, look up and grant before a check gives up: a first touch needs three, a race a few more. */
const ROUNDS_MAX = 12;

/** What the data plane asks before each write. */
export interface Gate {
  /**
   * Decides one operation against every limit and counts it: all meters or none. A denial is an answer, not an error.
   * Throws `validation_failed`, `not_found` (account), `idempotency_mismatch`, and `unavailable` when nothing could be decided.
   */
  check(request: CheckRequest, now: number): Promise<Decision>;
}

export function createGate(stores: GateStores, loader: AccountLoader): Gate {
  const granter = new Granter(stores.db, stores.counters);
  return {
    check: async (request, now) => {
      const operation = toOperation(stores, request, now);
      for (let round = 0; round < ROUNDS_MAX; round++) {
        const reply = await stores.counters.check(operation);
        switch (reply.status) {
          case "load":
            await loader.load(request.account, reply.reason, reply.epoch, now);
            break;
          case "object":
            await lookUpObject(stores, operation);
            break;
          case "grant":
            await granter.ask(request.account, reply.header, needs(operation, reply));
            break;
          case "replayed":
            return replayedAnswer(stores.catalog.catalog, request, operation, reply.answer);
          case "mismatch":
            throw new WeirError("idempotency_mismatch", "This idempotencyKey was used for a different request; use a new key for a new operation.");
          default:
            if (reply.status === "allowed" && operation.mode === "consume") acknowledge(stores, operation, reply);
            return answerOf(stores.catalog.catalog, request, operation, reply);
        }
      }
      throw unavailable("A steady view of the account");
    },
  };
}

function toOperation({ catalog, unbooked, storageMeter }: GateStores, request: CheckRequest, now: number): Operation {
  if (!request.usage && !request.operation && !request.storageBytes && request.payloadBytes === undefined) {
    throw validationFailed([{ path: "usage", message: "name usage, an operation, storageBytes or payloadBytes" }]);
  }
  // An operation that the usage overrides must still be one the catalogue knows.
  const fromOperation = request.operation === undefined ? {} : operationUsage(catalog.catalog, request.operation);
  const usage = Object.entries(request.usage ?? fromOperation);
  const errors = usage.flatMap(([meter]): FieldError[] => {
    const found = findMeter(catalog.catalog, meter);
    if (!found) return [{ path: `usage.${meter}`, message: "is not a meter of the catalogue" }];
    return found.kind === "gauge" ? [{ path: `usage.${meter}`, message: "is a gauge: report it as storageBytes" }] : [];
  });
  if (errors.length > 0) throw validationFailed(errors);
  const place = `${request.service ?? ""}/${request.namespace ?? ""}`;
  return {
    account: request.account,
    now,
    hour: Math.floor(now / HOUR_MS) * HOUR_MS,
    catalogVersion: catalog.version,
    mode: request.mode ?? "consume",
    source: unbooked.source,
    place,
    usage,
    storage: storageOf(request, place, storageMeter),
    payloadBytes: request.payloadBytes ?? null,
    decisionId: newId("dec"),
    idempotency: idempotencyOf(request),
  };
}

function storageOf({ storageBytes, object }: CheckRequest, place: string, meter: string): Operation["storage"] {
  if (!storageBytes) return null;
  const level = { meter, object: object === undefined ? "//" : `${place}/${object}`, bookedLevel: null };
  return "set" in storageBytes ? { ...level, kind: "set", bytes: storageBytes.set } : { ...level, kind: "delta", bytes: storageBytes.delta };
}

// 128 bits of the key and of the request: 32 bytes a key instead of up to 255 and a whole body.
function idempotencyOf(request: CheckRequest): Operation["idempotency"] {
  const { idempotencyKey, ...body } = request;
  if (idempotencyKey === undefined) return null;
  return { field: hash128(idempotencyKey), requestHash: hash128(canonical(body)) };
}

const hash128 = (text: string): Buffer => createHash("sha256").update(text).digest().subarray(0, 16);

/** One text for one meaning: the same members in another order are the same request. */
function canonical(value: unknown): string {
  if (value === null || typeof value !== "object") return JSON.stringify(value) ?? "null";
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  const members = Object.entries(value).filter(([, v]) => v !== undefined).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${members.map(([k, v]) => `${JSON.stringify(k)}:${canonical(v)}`).join(",")}}`;
}

async function lookUpObject({ db }: GateStores, operation: Operation): Promise<void> {
  const { storage, account } = operation;
  if (!storage) return;
  const [service = "", namespace = "", ...object] = storage.object.split("/");
  storage.bookedLevel = await objectLevel(db, account, storage.meter, { service, namespace, object: object.join("/") });
}

function needs(operation: Operation, reply: Counted) {
  return operation.usage.flatMap(([meter, quantity], i) => {
    const counters = reply.meters[i];
    return counters && quantity > 0 ? [{ meter, quantity, counters }] : [];
  });
}

/** Keeps this process' copy of what is about to be acknowledged. */
function acknowledge({ unbooked }: GateStores, operation: Operation, { header, objectBefore, objectAfter }: Counted): void {
  const { account, place, usage, storage, hour, now } = operation;
  const bucket = Math.max(hour, header.day.start, header.month.start);
  for (const [meter, quantity] of usage) {
    if (quantity > 0) unbooked.add(account, header.epoch, bucket, place, meter, quantity);
  }
  if (storage && objectBefore !== objectAfter) {
    const [service = "", namespace = "", ...object] = storage.object.split("/");
    unbooked.setLevel({ account, meter: storage.meter, service, namespace, object: object.join("/"), bytes: objectAfter, epoch: header.epoch, seq: header.objectSeq, at: now });
  }
}
