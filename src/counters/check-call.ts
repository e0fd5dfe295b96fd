import type { KeySpace } from "./keys.ts";
import { readHeader, readIntegral, readMeter, readPlace, type GaugeIntegral, type Header, type MeterCounters } from "./layout.ts";
import { buffer, text, type Reply } from "./script.ts";

/** One operation as the script takes it; every number is a checked quantity. */
export interface Operation {
  account: string;
  now: number;
  hour: number;
  catalogVersion: number;
  /** `force` counts what has happened already: no limit refuses it. */
  mode: "consume" | "peek" | "reserve" | "force";
  /** A denial is not kept for the idempotency key: limits may be raised, and the operation asked again. */
  tentative: boolean;
  source: string;
  /** `service/namespace`, either part may be empty. */
  place: string;
  usage: readonly (readonly [meter: string, quantity: number])[];
  /** `service/namespace/object`; `//` for the account itself. A reservation keeps it: what is stored may be told when it is settled. */
  object: string;
  storage: { meter: string; kind: "delta" | "set"; bytes: number; bookedLevel: number | null } | null;
  payloadBytes: number | null;
  decisionId: string;
  /** `booked`: the answer Postgres has; "none" when it has none; null when it was not asked. */
  idempotency: { field: Buffer; requestHash: Buffer; booked: Buffer | "none" | null } | null;
  reservation: { id: string; expiresAt: number } | null;
  /** The epoch in which Postgres was asked for a level or an answer; 0 before. */
  askedIn: number;
}

export interface Counted {
  status: "allowed" | "denied" | "grant";
  header: Header & { runId: string };
  /** Under which the quick path may count from here on (quick.lua); empty where it may not. */
  leave: string;
  /** What is left of each counter on the quick path, in the order of `usage`. */
  rooms: number[];
  /** Where each counter's room stands there, in the order of `usage`; null where it may not be counted so. */
  places: (number | null)[];
  objectBefore: number;
  objectAfter: number;
  /** See check.lua. */
  refusals: string;
  /** The answer as it is kept for the idempotency key; empty where there is none. */
  kept: Buffer;
  /** In the order of `usage`; the storage meter last, where there is one. */
  meters: MeterCounters[];
  /** The storage gauge's bucket, where there is one. */
  integral: GaugeIntegral | null;
}

export type CheckReply =
  | Counted
  | { status: "load"; reason: LoadCause; epoch: number }
  | { status: "object" | "key"; epoch: number }
  | { status: "expire" | "keys-full" }
  | { status: "replayed"; answer: string }
  | { status: "mismatch" };

/** Why a state cannot be used as it is: see check.lua. */
export type LoadCause = "absent" | "run" | "turned" | "catalog" | "meter" | "lost";

/** KEYS of check.lua, in its order. */
export function checkKeys(keys: KeySpace, { account, hour, now }: Operation): string[] {
  return [
    keys.state(account),
    keys.totals(account, hour),
    keys.objects(account),
    keys.changedObjects(account),
    keys.idempotency(account, now, 0),
    keys.idempotency(account, now, 1),
    keys.keysToBook(account),
    keys.reservations(account),
    keys.expiries(account),
    keys.dirtyOf(account),
    keys.crossings(account),
    keys.idempotency(account, now, -1),
  ];
}

const MODE = { consume: "c", peek: "p", reserve: "r", force: "f" } as const;

/** ARGV of check.lua, in its order. */
export function checkArgs(runId: string, operation: Operation): (string | number | Buffer)[] {
  const { storage, idempotency } = operation;
  const args: (string | number | Buffer)[] = [
    runId,
    operation.catalogVersion,
    operation.now,
    operation.hour,
    operation.account,
    operation.tentative ? MODE[operation.mode].toUpperCase() : MODE[operation.mode],
    operation.source,
    operation.place,
    idempotency?.field ?? "",
    idempotency?.requestHash ?? "",
    operation.decisionId,
    operation.payloadBytes ?? "",
    operation.object,
    storage === null ? "" : storage.kind === "set" ? "s" : "d",
    storage?.bytes ?? "",
    storage?.meter ?? "",
    storage?.bookedLevel ?? "",
    operation.reservation?.id ?? "",
    operation.reservation?.expiresAt ?? "",
    idempotency?.booked ?? "",
    operation.askedIn,
  ];
  for (const [meter, quantity] of operation.usage) args.push(meter, quantity);
  return args;
}

const STATUS: Record<number, Counted["status"]> = { 1: "allowed", 0: "denied", [-3]: "grant" };

export const decodeLoad = (reply: Reply[]): { status: "load"; reason: LoadCause; epoch: number } => ({
  status: "load",
  reason: text(reply[1]) as LoadCause,
  epoch: Number(text(reply[2])),
});

/** What check.lua answered. Throws for a status that it does not have. */
export function decodeCheck({ usage, storage }: Operation, reply: Reply[]): CheckReply {
  const code = Number(reply[0]);
  if (code === -1) return decodeLoad(reply);
  if (code === -2) return { status: "object", epoch: Number(text(reply[1])) };
  if (code === -4) return { status: "expire" };
  if (code === -5) return { status: "key", epoch: Number(text(reply[1])) };
  if (code === -6) return { status: "keys-full" };
  if (code === 2) return { status: "replayed", answer: text(reply[1]) };
  if (code === 3) return { status: "mismatch" };
  const status = STATUS[code];
  if (status === undefined) throw new Error(`check.lua answered status ${code}`);
  return {
    status,
    header: readHeader(buffer(reply[1])),
    objectBefore: Number(text(reply[2])),
    objectAfter: Number(text(reply[3])),
    refusals: text(reply[4]),
    kept: buffer(reply[5]),
    leave: text(reply[6]),
    rooms: text(reply[7]).split(",").map(Number),
    places: usage.map((_, i) => readPlace(buffer(reply[8 + i]))),
    meters: reply.slice(8).map((packed, i) => readMeter(buffer(packed), i >= usage.length)),
    integral: storage === null ? null : readIntegral(buffer(reply[8 + usage.length])),
  };
}
