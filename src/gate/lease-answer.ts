import { hardLimit, type MeterCounters } from "../counters/layout.ts";
import type { Leased } from "../counters/lease-call.ts";
import { spentOf } from "../counters/lease-record.ts";
import { iso, PERIODS, type Period, type Window } from "../kernel/window.ts";
import type { LeaseRow } from "../ledger/lease-store.ts";
import { bucketAt, leaseId, type LeaseName } from "./lease.ts";
import { hourOf } from "./operation.ts";

/** A lease as its holder is told of it. Quantities by meter, all of them in all so far: what may still be spent is `granted` − `used`. */
export interface LeaseAnswer {
  leaseId: string;
  account: string;
  granted: Record<string, number>;
  used: Record<string, number>;
  windows: Record<Period, { start: string; end: string }>;
  /** Until when it may be spent without a heartbeat. */
  expiresAt: string;
  /** The same as a duration from now, for a clock that is not ours. Counted from when the request was sent it can only be too short. */
  expiresInMs: number;
  epoch: number;
  /** The limits it was judged by: rises when they change. */
  limitsVersion: number;
  /** What its limits leave beyond all that is used, lent or held; null where nothing limits. */
  remaining: Record<string, number | null>;
  /** Nothing more is lent on it: take another. */
  ended: boolean;
  /** Give back what is not needed: somebody was denied, or a limit was lowered. */
  recall: boolean;
  /** More was spent than was lent, and it passed a limit. */
  exceeded: boolean;
  /** What was not spent has gone back. */
  closed: boolean;
}

/** The answer to a call that Redis has carried out. `granted`: as far as Postgres has it. */
export function leaseAnswer(
  name: LeaseName,
  { header, record, meters, recall }: Leased,
  granted: ReadonlyMap<string, number>,
  now: number,
): LeaseAnswer {
  const current = record.bucket === bucketAt(header, hourOf(Math.max(now, header.day.start)));
  return {
    ...facts(name, record.windows, record.expiresAt, now),
    granted: Object.fromEntries(granted),
    used: Object.fromEntries(spentOf(record.totals)),
    epoch: header.epoch,
    limitsVersion: header.limitsVersion,
    remaining: Object.fromEntries([...meters].map(([meter, counters]) => [meter, remainingOf(counters)])),
    ended: !record.open || !current,
    recall,
    exceeded: record.exceeded,
    closed: !record.open,
  };
}

/** The answer about a lease whose life in Redis is over: what was lent may be spent until it expires, and nothing more is lent. */
export function lateAnswer(
  row: LeaseRow,
  used: ReadonlyMap<string, number>,
  { limitsVersion, closed, exceeded, now }: { limitsVersion: number; closed: boolean; exceeded: boolean; now: number },
): LeaseAnswer {
  return {
    ...facts(row, row.windows, row.expiresAt, now),
    granted: Object.fromEntries(row.granted),
    used: Object.fromEntries(used),
    epoch: row.epoch,
    limitsVersion,
    remaining: {},
    ended: true,
    recall: !closed,
    exceeded,
    closed,
  };
}

function facts(name: LeaseName, windows: Record<Period, Window>, expiresAt: number, now: number) {
  const window = ({ start, end }: Window): { start: string; end: string } => ({ start: iso(start), end: iso(end) });
  return {
    leaseId: leaseId(name),
    account: name.account,
    windows: { day: window(windows.day), month: window(windows.month) },
    expiresAt: iso(expiresAt),
    expiresInMs: Math.max(0, expiresAt - now),
  };
}

function remainingOf(counters: MeterCounters): number | null {
  const left = PERIODS.flatMap((period) => {
    const limit = hardLimit(counters[period]);
    return limit === null ? [] : [Math.max(0, limit - counters[period].used - counters[period].held)];
  });
  return left.length === 0 ? null : Math.min(...left);
}
