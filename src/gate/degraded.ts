import { findMeter, type Catalog } from "../catalog/catalog.ts";
import { notFound, NotSent, unavailable } from "../kernel/errors.ts";
import { newId } from "../kernel/ids.ts";
import { iso } from "../kernel/window.ts";
import type { CheckRequest } from "./check-request.ts";
import type { Decision } from "./decision.ts";
import { usageOf } from "./operation.ts";
import type { RecordedEvents } from "./record-events.ts";

/** Counts one usage event durably, without Redis. */
export type RecordEvent = (event: Record<string, unknown>, now: number) => Promise<RecordedEvents>;

/**
 * May this request be allowed while Redis is away? Only where the operator said so for each meter it counts (`failurePolicy: "allow"`),
 * and only where it is certain that Redis has not counted it: a call that was sent and not answered may have, and would count twice.
 * A key's first answer may be with Redis too, and a level is. So: unsent, unkeyed, counters only.
 */
export function mayBeAllowedUnchecked(catalog: Catalog, request: CheckRequest, error: unknown): boolean {
  if (!(error instanceof NotSent) || (request.mode ?? "consume") !== "consume") return false;
  if (request.storageBytes || request.idempotencyKey !== undefined || request.payloadBytes !== undefined) return false;
  const usage = usageOf(catalog, request);
  return usage.length > 0 && usage.every(([meter]) => findMeter(catalog, meter)?.failurePolicy === "allow");
}

/** Allows it and counts it in Postgres at once: nothing is lost, but a limit may be passed by what the outage let through. */
export async function allowUnchecked(catalog: Catalog, record: RecordEvent, request: CheckRequest, now: number): Promise<Decision> {
  const { account, service, namespace, object } = request;
  const decisionId = newId("dec");
  const usage = Object.fromEntries(usageOf(catalog, request));
  const data = {
    usage,
    ...(service === undefined ? {} : { service }),
    ...(namespace === undefined ? {} : { namespace }),
    ...(object === undefined ? {} : { object }),
  };
  const event = {
    specversion: "1.0",
    id: decisionId,
    source: "weir:unchecked",
    type: "weir.usage",
    subject: account,
    time: iso(now),
    data,
  };
  const { accepted, rejected } = await record(event, now);
  if (rejected[0]?.code === "not_found") throw notFound(`Account ${account}`);
  if (accepted !== 1) throw unavailable("Redis");
  return { allowed: true, decisionId, reservation: null, denials: [], meters: {}, degraded: true };
}
