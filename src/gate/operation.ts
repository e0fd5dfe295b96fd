import { createHash } from "node:crypto";
import { findMeter, type Catalog } from "../catalog/catalog.ts";
import { operationUsage } from "../catalog/operation.ts";
import type { Operation } from "../counters/check-call.ts";
import { validationFailed, type FieldError } from "../kernel/errors.ts";
import { ACCOUNT_PATTERN, newId } from "../kernel/ids.ts";
import { HOUR_MS } from "../kernel/window.ts";
import type { GateStores } from "./account-loader.ts";
import { TTL_SECONDS_DEFAULT, type CheckRequest } from "./check-request.ts";

export const hourOf = (now: number): number => Math.floor(now / HOUR_MS) * HOUR_MS;

/** The field of an operation that names no object. */
export const NO_OBJECT = "//";

/** Makes a request what the script takes. Throws `validation_failed`; reads nothing and counts nothing. */
export function toOperation(
  { catalog, unbooked, storageMeter }: GateStores,
  request: CheckRequest,
  mode: Operation["mode"],
  now: number,
): Operation {
  const place = `${request.service ?? ""}/${request.namespace ?? ""}`;
  return {
    account: request.account,
    now,
    hour: hourOf(now),
    catalogVersion: catalog.version,
    mode,
    tentative: false,
    source: unbooked.source,
    place,
    usage: usageOf(catalog.catalog, request),
    object: request.object === undefined ? NO_OBJECT : `${place}/${request.object}`,
    storage: storageOf(request, storageMeter),
    payloadBytes: request.payloadBytes ?? null,
    decisionId: newId("dec"),
    idempotency: idempotencyOf(request),
    // Ids are minted before the account's epoch is known; that an unknown one is of a lost epoch is told by its time.
    reservation:
      mode === "reserve"
        ? { id: reservationId(request.account), expiresAt: now + (request.ttlSeconds ?? TTL_SECONDS_DEFAULT) * 1_000 }
        : null,
    askedIn: 0,
  };
}

/** The counters a request counts: its own, or its operation's row of the catalogue. */
export function usageOf(catalog: Catalog, { operation, usage, storageBytes, payloadBytes }: CheckRequest): [string, number][] {
  if (!usage && operation === undefined && !storageBytes && payloadBytes === undefined) {
    throw validationFailed([{ path: "usage", message: "name usage, an operation, storageBytes or payloadBytes" }]);
  }
  // An operation that the usage overrides must still be one the catalogue knows.
  const fromOperation = operation === undefined ? {} : operationUsage(catalog, operation);
  return countersOf(catalog, usage ?? fromOperation);
}

/** Meters with their quantities; throws `validation_failed` where one is unknown or a gauge. `path` is where the request names them. */
export function countersOf(catalog: Catalog, usage: Record<string, number>, path = "usage"): [string, number][] {
  const counters = Object.entries(usage);
  const errors = counters.flatMap(([meter]): FieldError[] => {
    const found = findMeter(catalog, meter);
    if (!found) return [{ path: `${path}.${meter}`, message: "is not a meter of the catalogue" }];
    return found.kind === "gauge" ? [{ path: `${path}.${meter}`, message: "is a gauge: report it as storageBytes of a check" }] : [];
  });
  if (errors.length > 0) throw validationFailed(errors);
  return counters;
}

function storageOf({ storageBytes }: CheckRequest, meter: string): Operation["storage"] {
  if (!storageBytes) return null;
  const level = { meter, bookedLevel: null };
  return "set" in storageBytes
    ? { ...level, kind: "set", bytes: storageBytes.set }
    : { ...level, kind: "delta", bytes: storageBytes.delta };
}

/** An object's field in Redis, taken apart. Only the object's name may hold anything; service and namespace have no slash. */
export function placeOfObject(field: string): { service: string; namespace: string; object: string } {
  const [service = "", namespace = "", ...object] = field.split("/");
  return { service, namespace, object: object.join("/") };
}

/** `rsv_<account>.<random>`: the account is in it, so that settling finds its slot without being told. */
const reservationId = (account: string): string => `rsv_${Buffer.from(account).toString("base64url")}.${newId("").slice(1)}`;

/** The account a reservation's id names, null for a text that is no such id. */
export function accountOfReservation(id: string): string | null {
  const encoded = /^rsv_([A-Za-z0-9_-]{2,88})\.[0-9A-Za-z]{20}$/.exec(id)?.[1];
  const account = encoded === undefined ? "" : Buffer.from(encoded, "base64url").toString();
  // It becomes part of a Redis key, where another text would name another account's slot.
  return ACCOUNT_PATTERN.test(account) ? account : null;
}

// 128 bits of the key and of the request: 32 bytes a key instead of up to 255 and a whole body.
function idempotencyOf(request: CheckRequest): Operation["idempotency"] {
  const { idempotencyKey, ...body } = request;
  if (idempotencyKey === undefined) return null;
  return { field: hash128(idempotencyKey), requestHash: hash128(canonical(body)), booked: null };
}

export const hash128 = (text: string): Buffer => createHash("sha256").update(text).digest().subarray(0, 16);

/** One text for one meaning: the same members in another order are the same request. */
export function canonical(value: unknown): string {
  if (value === null || typeof value !== "object") return JSON.stringify(value) ?? "null";
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  const members = Object.entries(value)
    .filter(([, v]) => v !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${members.map(([k, v]) => `${JSON.stringify(k)}:${canonical(v)}`).join(",")}}`;
}
