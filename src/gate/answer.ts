import { findMeter, type Catalog } from "../catalog/catalog.ts";
import type { Counted, Operation } from "../counters/check-call.ts";
import type { MeterCounters, PeriodCounters } from "../counters/layout.ts";
import type { CheckRequest } from "./check-request.ts";
import { composeDecision, type DecisionFacts, type MeterFacts, type Standing } from "./compose-decision.ts";
import type { Decision } from "./decision.ts";

/** The answer to a decision the script has just made. */
export function answerOf(
  catalog: Catalog,
  request: CheckRequest,
  operation: Operation,
  reply: Counted,
  credited: ReadonlySet<string>,
): Decision {
  const { header } = reply;
  return composeDecision({
    ...requestFacts(request),
    allowed: reply.status === "allowed",
    decisionId: operation.decisionId,
    reservation: operation.reservation,
    refusals: reply.refusals,
    payloadCeiling: header.payloadCeiling,
    objectBefore: reply.objectBefore,
    objectAfter: reply.objectAfter,
    objectCeiling: header.objectCeiling,
    dayEnd: header.day.end,
    monthEnd: header.month.end,
    meters: namedMeters(catalog, operation, reply.objectAfter - reply.objectBefore, reply.meters.map(standings), credited),
  });
}

/** The answer given when the key was first used, read back from the text check.lua kept ("Remember"). */
export function replayedAnswer(
  catalog: Catalog,
  request: CheckRequest,
  operation: Operation,
  kept: string,
  credited: ReadonlySet<string>,
): Decision {
  const [head = "", ...meters] = kept.split(";");
  const [
    status,
    decisionId = "",
    before,
    after,
    refusals = "",
    dayEnd,
    monthEnd,
    objectCeiling,
    payloadCeiling,
    reservation = "",
    expiresAt,
  ] = head.split(",");
  return composeDecision({
    ...requestFacts(request),
    allowed: status === "1",
    decisionId,
    reservation: reservation === "" ? null : { id: reservation, expiresAt: Number(expiresAt) },
    refusals,
    payloadCeiling: orNull(payloadCeiling),
    objectBefore: Number(before),
    objectAfter: Number(after),
    objectCeiling: orNull(objectCeiling),
    dayEnd: Number(dayEnd),
    monthEnd: Number(monthEnd),
    meters: namedMeters(catalog, operation, Number(after) - Number(before), meters.map(keptStandings), credited),
  });
}

const requestFacts = (request: CheckRequest): Pick<DecisionFacts, "account" | "payloadBytes" | "object" | "storageDelta"> => ({
  account: request.account,
  payloadBytes: request.payloadBytes ?? 0,
  object: request.object ?? "the account",
  storageDelta: request.storageBytes && "delta" in request.storageBytes ? request.storageBytes.delta : null,
});

type Standings = Pick<MeterFacts, "day" | "month">;

function namedMeters(
  catalog: Catalog,
  { usage, storage }: Operation,
  growth: number,
  standingsInOrder: Standings[],
  credited: ReadonlySet<string>,
): MeterFacts[] {
  const asked = storage ? [...usage, [storage.meter, growth] as const] : usage;
  return asked.flatMap(([meter, requested], i) => {
    const standing = standingsInOrder[i];
    const found = findMeter(catalog, meter);
    return standing && found
      ? [{ meter, unit: found.unit, gauge: found.kind === "gauge", requested, credited: credited.has(meter), ...standing }]
      : [];
  });
}

const standings = ({ day, month }: MeterCounters): Standings => ({ day: standingOf(day), month: standingOf(month) });

const standingOf = ({ plan, cap, used, held, stranded }: PeriodCounters): Standing => ({ plan, cap, used, held, stranded });

function keptStandings(text: string): Standings {
  const n = text.split(",");
  const standing = (at: number, stranded: string | undefined): Standing => ({
    plan: orNull(n[at]),
    cap: orNull(n[at + 1]),
    used: Math.max(0, Number(n[at + 2])),
    held: Number(n[at + 3]),
    stranded: Number(stranded ?? 0),
  });
  return { day: standing(0, n[8]), month: standing(4, n[9]) };
}

const orNull = (text: string | undefined): number | null => (text === undefined || text === "-1" ? null : Number(text));
