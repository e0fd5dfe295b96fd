import { QUANTITY_MAX } from "../kernel/quantity.ts";
import { iso, type Period } from "../kernel/window.ts";
import type { Decision, Denial, MeterState } from "./decision.ts";

/** Where one meter stands in one window, and what may stop it. Base quantities; null where nothing does. */
export interface Standing {
  plan: number | null;
  cap: number | null;
  used: number;
  held: number;
  /** Lent to a store that was lost, and held until it is accounted for. */
  stranded: number;
}

export interface MeterFacts {
  meter: string;
  unit: string;
  gauge: boolean;
  /** What was asked for: of a gauge, the growth. */
  requested: number;
  /** The plan's limit of the month is what prepaid credits cover. */
  credited: boolean;
  day: Standing;
  month: Standing;
}

/** All a decision says, as the script answered it: the same for a new decision and for a replayed one. */
export interface DecisionFacts {
  allowed: boolean;
  decisionId: string;
  reservation: { id: string; expiresAt: number } | null;
  account: string;
  /** p payload, oN object ceiling with N bytes held, gN the Nth meter's limit has room that could not be granted (check.lua). */
  refusals: string;
  payloadBytes: number;
  payloadCeiling: number | null;
  object: string;
  objectBefore: number;
  objectAfter: number;
  /** By how much the object was to grow; null where its size was told, or nothing of it. */
  storageDelta: number | null;
  objectCeiling: number | null;
  dayEnd: number;
  monthEnd: number;
  meters: MeterFacts[];
}

/** Turns the script's numbers into the answer to a check. Pure: the same facts always give the same answer. */
export function composeDecision(facts: DecisionFacts): Decision {
  const denials = facts.allowed ? [] : denialsOf(facts);
  const below = facts.allowed && facts.storageDelta !== null ? -(facts.objectBefore + facts.storageDelta) : 0;
  return {
    allowed: facts.allowed,
    decisionId: facts.decisionId,
    reservation: facts.allowed && facts.reservation ? { id: facts.reservation.id, expiresAt: iso(facts.reservation.expiresAt) } : null,
    denials,
    meters: Object.fromEntries(facts.meters.map((m) => [m.meter, meterState(m, facts)])),
    ...(below > 0 ? { clampedBytes: below } : {}),
  };
}

function denialsOf(facts: DecisionFacts): Denial[] {
  const denials: Denial[] = [];
  if (facts.refusals.includes("p")) denials.push(payloadDenial(facts));
  for (const meter of facts.meters) {
    if (meter.requested <= 0) continue;
    if (meter.gauge && facts.refusals.includes("o")) denials.push(objectDenial(meter, facts));
    denials.push(...meterDenials(meter, facts, ({ used, held, limit }) => used + held + meter.requested > limit));
  }
  for (const [, index] of facts.refusals.matchAll(/g(\d+)/g)) {
    const meter = facts.meters[Number(index)];
    if (meter && !denials.some((d) => d.meter === meter.meter)) denials.push(...strandedDenials(meter, facts));
  }
  return denials;
}

/** The limit has room by its numbers, and none that can be granted: what is left of it was lent to a store that was lost. */
function strandedDenials(meter: MeterFacts, facts: DecisionFacts): Denial[] {
  const limits = limitsOf(meter);
  const least = Math.min(...limits.map((l) => l.limit - l.used - l.held));
  const [binding] = limits.filter((l) => l.limit - l.used - l.held === least);
  return binding ? [limitDenial(meter, { ...binding, held: binding.held + least, stranded: binding.stranded + least }, facts)] : [];
}

interface Limit {
  period: Period;
  source: "plan" | "cap" | "ceiling";
  limit: number;
  used: number;
  /** With what is stranded: it is nobody's to spend. */
  held: number;
  stranded: number;
}

function limitsOf({ day, month, gauge }: MeterFacts): Limit[] {
  const limits: Limit[] = [];
  for (const [period, standing] of [
    ["day", day],
    ["month", month],
  ] as const) {
    const { plan, cap, used, stranded } = standing;
    const held = standing.held + stranded;
    if (plan !== null) limits.push({ period, source: "plan", limit: plan, used, held, stranded });
    if (cap !== null) limits.push({ period, source: "cap", limit: cap, used, held, stranded });
  }
  // Both windows of a gauge show one level: its plan's limit stands in both and is one; two caps of different values are two.
  return gauge
    ? limits.filter((l) => !limits.some((o) => o !== l && o.source === l.source && o.limit === l.limit && o.period < l.period))
    : limits;
}

function meterDenials(meter: MeterFacts, facts: DecisionFacts, refuses: (limit: Limit) => boolean): Denial[] {
  const { used, held } = meter.month;
  const ceiling: Limit = { period: "month", source: "ceiling", limit: QUANTITY_MAX, used, held, stranded: 0 };
  const limits = limitsOf(meter);
  return (limits.length > 0 ? limits : [ceiling]).filter(refuses).map((l) => limitDenial(meter, l, facts));
}

function limitDenial(of: MeterFacts, l: Limit, facts: DecisionFacts): Denial {
  if (of.credited && l.source === "plan" && l.period === "month") return creditsDenial(of, l, facts);
  const { meter, unit, gauge, requested } = of;
  // More than the whole limit never fits, however long one waits.
  const waits = !gauge && l.source !== "ceiling" && requested <= l.limit;
  const resetsAt = waits ? iso(l.period === "day" ? facts.dayEnd : facts.monthEnd) : null;
  const whose = l.source === "plan" ? "plan's" : l.source === "cap" ? "account's own" : "counter's";
  const window = gauge ? "" : l.source === "ceiling" ? "" : ` per ${l.period}`;
  const reserved = l.held > 0 ? `, ${l.held} reserved` : "";
  const stranded =
    l.stranded > 0 ? ` Of these, ${l.stranded} were lent to a store that was lost and are held until it is accounted for.` : "";
  return {
    code: "limit_exceeded",
    meter,
    scope: "account",
    source: l.source,
    period: waits ? l.period : null,
    limit: l.limit,
    used: l.used,
    reserved: l.held,
    requested,
    resetsAt,
    retryable: waits,
    message: `${meter}: the ${whose} limit is ${counted(l.limit, unit)}${window}; ${l.used} used${reserved}, ${requested} more asked for.${stranded}`,
    remedy: remedyOf(meter, l, resetsAt, facts.account),
  };
}

/** `1 row`, `5 rows`; a unit that ends in s, such as GB-ms, is its own plural. */
const counted = (n: number, unit: string): string => `${n} ${n === 1 || unit.endsWith("s") ? unit : `${unit}s`}`;

/** More than credits pay for. A new month brings what the plan includes. */
function creditsDenial({ meter, unit, requested }: MeterFacts, { limit, used, held }: Limit, { account, monthEnd }: DecisionFacts): Denial {
  const reserved = held > 0 ? `, ${held} reserved` : "";
  return {
    code: "credits_exhausted",
    meter,
    scope: "account",
    source: "plan",
    period: "month",
    limit,
    used,
    reserved: held,
    requested,
    resetsAt: iso(monthEnd),
    retryable: true,
    message: `${meter}: prepaid credits are exhausted at ${counted(limit, unit)} this month; ${used} used${reserved}, ${requested} more asked for.`,
    remedy: `Add credits (weir credits grant --account ${account} --amount-usd-micros <n> --idempotency-key <key>) or wait until ${iso(monthEnd)}.`,
  };
}

function remedyOf(meter: string, l: Limit, resetsAt: string | null, account: string): string {
  const wait = resetsAt === null ? "" : ` or wait until ${resetsAt}`;
  if (l.source === "cap")
    return `Raise the cap (weir limits set ${meter} --period ${l.period} --value <n>), remove it (weir limits delete ${meter} --period ${l.period})${wait}.`;
  if (l.source === "plan") return `Change to a larger plan (weir accounts plan ${account} pro)${wait}.`;
  return "The counter is full; contact the operator.";
}

function objectDenial({ meter }: MeterFacts, facts: DecisionFacts): Denial {
  const limit = facts.objectCeiling ?? 0;
  const held = Number(/o(\d+)/.exec(facts.refusals)?.[1] ?? 0);
  const reserved = held > 0 ? `, ${held} more are reserved,` : "";
  return {
    code: "limit_exceeded",
    meter,
    scope: "object",
    source: "ceiling",
    period: null,
    limit,
    used: facts.objectBefore,
    reserved: held,
    requested: facts.objectAfter - facts.objectBefore,
    resetsAt: null,
    retryable: false,
    message: `${meter}: one object may hold ${limit} bytes; ${facts.object} holds ${facts.objectBefore}${reserved} and would grow to ${facts.objectAfter}.`,
    remedy: "Delete keys of this object, spread them over several objects, or change to a larger plan.",
  };
}

function payloadDenial({ payloadBytes, payloadCeiling }: DecisionFacts): Denial {
  const limit = payloadCeiling ?? 0;
  return {
    code: "payload_too_large",
    meter: null,
    scope: "request",
    source: "ceiling",
    period: null,
    limit,
    used: 0,
    reserved: 0,
    requested: payloadBytes,
    resetsAt: null,
    retryable: false,
    message: `Key and value together may have ${limit} bytes; this request has ${payloadBytes}.`,
    remedy: "Split the value over several keys, or store it elsewhere and keep a reference.",
  };
}

function meterState(meter: MeterFacts, { dayEnd, monthEnd }: DecisionFacts): MeterState {
  const limits = limitsOf(meter).map((l) => ({ ...l, remaining: Math.max(0, l.limit - l.used - l.held) }));
  const binding = limits.sort((a, b) => a.remaining - b.remaining || a.limit - b.limit)[0];
  const period = binding?.period ?? "month";
  const { used, held, stranded } = meter[period];
  return {
    period: meter.gauge ? null : period,
    used,
    reserved: held + stranded,
    limit: binding?.limit ?? null,
    remaining: binding?.remaining ?? null,
    resetsAt: meter.gauge ? null : iso(period === "day" ? dayEnd : monthEnd),
  };
}
