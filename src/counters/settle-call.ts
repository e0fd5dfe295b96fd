import { decodeLoad, type LoadCause } from "./check-call.ts";
import type { KeySpace } from "./keys.ts";
import { readHeader, readIntegral, readMeter, type GaugeIntegral, type Header } from "./layout.ts";
import { buffer, text, type Reply } from "./script.ts";

/** The end of a reservation as the script takes it. */
export interface Ending {
  account: string;
  now: number;
  hour: number;
  source: string;
  id: string;
  action: "settle" | "release";
  /** How long the answer is kept, epoch ms. */
  keptUntil: number;
  /** Null: what was reserved. */
  storage: { kind: "delta" | "set"; bytes: number } | null;
  storageMeter: string;
  /** The object's level as Postgres has it, where it was asked. */
  bookedLevel: number | null;
  /** Null: what was reserved. */
  usage: readonly (readonly [meter: string, quantity: number])[] | null;
}

export interface Ended {
  status: "ended" | "repeated";
  exceeded: boolean;
  header: Header;
  bucket: number;
  /** `service/namespace`. */
  place: string;
  object: string;
  objectBefore: number;
  objectAfter: number;
  usage: [meter: string, quantity: number][];
  /** The storage gauge after it, where one was reserved. */
  gauge: (GaugeIntegral & { level: number }) | null;
}

export type SettleReply =
  | Ended
  | { status: "load"; reason: LoadCause; epoch: number }
  /** The object's level is not in Redis, and Postgres may have one. */
  | { status: "object"; object: string }
  | { status: "unknown" | "expired" | "lost" | "otherwise" | "meter" | "full" | "level" };

export const settleKeys = (keys: KeySpace, { account, hour }: Ending): string[] => [
  keys.state(account),
  keys.totals(account, hour),
  keys.objects(account),
  keys.changedObjects(account),
  keys.reservations(account),
  keys.expiries(account),
  keys.dirtyOf(account),
  keys.crossings(account),
];

/** ARGV of settle.lua, in its order. */
export function settleArgs(runId: string, e: Ending): (string | number)[] {
  const storage = e.storage === null ? ["", ""] : [e.storage.kind === "set" ? "s" : "d", e.storage.bytes];
  const usage = (e.usage ?? []).flatMap(([meter, quantity]) => [meter, quantity]);
  const level = [e.storageMeter, e.bookedLevel ?? ""];
  return [runId, e.now, e.hour, e.account, e.source, e.id, e.action, e.keptUntil, ...storage, ...level, e.usage === null ? 0 : 1, ...usage];
}

const NOT_ENDED: Record<number, "unknown" | "expired" | "lost" | "otherwise" | "meter" | "full" | "level"> = {
  [-2]: "unknown",
  [-3]: "expired",
  [-9]: "lost",
  [-4]: "otherwise",
  [-5]: "meter",
  [-6]: "full",
  [-8]: "level",
};

/** What settle.lua answered. Throws for a status that it does not have. */
export function decodeSettle(reply: Reply[]): SettleReply {
  const code = Number(reply[0]);
  if (code === -1) return decodeLoad(reply);
  if (code === -7) return { status: "object", object: text(reply[1]) };
  const failed = NOT_ENDED[code];
  if (failed !== undefined) return { status: failed };
  const gauge = buffer(reply[9]);
  return {
    status: code === 1 ? "ended" : "repeated",
    exceeded: text(reply[1]) === "1",
    header: readHeader(buffer(reply[2])),
    bucket: Number(text(reply[3])),
    place: text(reply[4]),
    object: text(reply[5]),
    objectBefore: Number(text(reply[6])),
    objectAfter: Number(text(reply[7])),
    usage: text(reply[8])
      .split(";")
      .filter(Boolean)
      .map((pair) => [pair.slice(0, pair.indexOf(",")), Number(pair.slice(pair.indexOf(",") + 1))]),
    gauge: gauge.length === 0 ? null : { ...readIntegral(gauge), level: readMeter(gauge, true).day.used },
  };
}
