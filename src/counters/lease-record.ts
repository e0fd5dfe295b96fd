import type { Period, Window } from "../kernel/window.ts";

/** A lease as lease.lua keeps it. Quantities by meter; times in epoch ms. */
export interface LeaseRecord {
  open: boolean;
  /** The greatest that was settled; −1 before the first. */
  seq: number;
  windows: Record<Period, Window>;
  /** The hour bucket that all of it is booked in. */
  bucket: number;
  expiresAt: number;
  ttlMs: number;
  /** Of the request it answers, hex. */
  requestHash: string;
  /** Rises with every grant. */
  version: number;
  /** More was spent than was lent, and it passed a limit. */
  exceeded: boolean;
  granted: Map<string, number>;
  /** What Postgres is known to have written down of `granted`. */
  firm: Map<string, number>;
  isFirm: boolean;
  /** `service/namespace/meter` → spent in all. */
  totals: Map<string, number>;
}

const ALL = "=";

/** A lease as the script keeps it, between bars. */
export function readLease(text: string): LeaseRecord {
  const [state, seq, day, dayEnd, month, monthEnd, bucket, expiresAt, ttlMs, requestHash = "", version, exceeded, granted, firm, totals] =
    text.split("|");
  const grantedList = readList(granted);
  return {
    open: state === "open",
    seq: Number(seq),
    windows: { day: { start: Number(day), end: Number(dayEnd) }, month: { start: Number(month), end: Number(monthEnd) } },
    bucket: Number(bucket),
    expiresAt: Number(expiresAt),
    ttlMs: Number(ttlMs),
    requestHash,
    version: Number(version),
    exceeded: exceeded === "1",
    granted: grantedList,
    firm: firm === ALL ? grantedList : readList(firm),
    isFirm: firm === ALL,
    totals: readList(totals),
  };
}

/** The text that lease.lua takes for a lease which only Postgres knows. It holds nothing any more. */
export function returnedLease(lease: Omit<LeaseRecord, "open" | "firm" | "isFirm">): string {
  const { day, month } = lease.windows;
  return [
    "returned",
    lease.seq,
    day.start,
    day.end,
    month.start,
    month.end,
    lease.bucket,
    lease.expiresAt,
    lease.ttlMs,
    lease.requestHash,
    lease.version,
    lease.exceeded ? 1 : 0,
    listText(lease.granted),
    ALL,
    listText(lease.totals),
  ].join("|");
}

/** The meter of a `service/namespace/meter`. */
export const meterOfTotal = (label: string): string => label.slice(label.lastIndexOf("/") + 1);

/** What was spent, by meter. */
export function spentOf(totals: ReadonlyMap<string, number>): Map<string, number> {
  const spent = new Map<string, number>();
  for (const [label, quantity] of totals) {
    const meter = meterOfTotal(label);
    spent.set(meter, (spent.get(meter) ?? 0) + quantity);
  }
  return spent;
}

const readList = (text: string | undefined): Map<string, number> =>
  new Map(
    (text ?? "")
      .split(";")
      .filter(Boolean)
      .map((pair) => [pair.slice(0, pair.indexOf(",")), Number(pair.slice(pair.indexOf(",") + 1))]),
  );

const listText = (amounts: ReadonlyMap<string, number>): string => [...amounts].map(([name, n]) => `${name},${n}`).join(";");
