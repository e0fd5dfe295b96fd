import { WeirError } from "../kernel/errors.ts";
import { findEventKeys } from "../ledger/event-store.ts";
import type { Db } from "../stores/database.ts";
import type { CheckRequest } from "./check-request.ts";
import { invalid, type RejectedEvent } from "./event.ts";
import type { DatedEvent } from "./event-lines.ts";

/** Counts a change of stored bytes that has happened: no limit refuses it, its idempotencyKey lets it count once. */
export type ApplyStorage = (change: CheckRequest, now: number) => Promise<{ allowed: boolean }>;

/** Objects changed at a time. */
const OBJECTS_AT_ONCE = 16;
/** Longer than any key a caller may send (255 characters): nobody can take an event's key for a check of his own. */
const KEY_PREFIX = "event:".padEnd(256, ".");

/**
 * Moves the levels that events report, in Redis, where levels live. Before the events' keys are booked, and under a key of its own
 * in Redis: a process that dies in between leaves an event that is not booked, and the one that is sent again finds its
 * change made. A level is what it is: an event from the past changes it from now on. Answers the events that could not be.
 */
export async function moveLevels(db: Db, events: readonly DatedEvent[], applyStorage: ApplyStorage, now: number): Promise<RejectedEvent[]> {
  const storing = events.filter((e) => e.storageBytes !== null);
  const known = await findEventKeys(
    db,
    storing.map((e) => e.key),
  );
  const byObject = Map.groupBy(
    storing.filter((e) => !known.has(e.key)),
    (e) => `${e.account}/${e.service}/${e.namespace}/${e.object ?? ""}`,
  );
  const rejected: RejectedEvent[] = [];
  const waiting = [...byObject.values()];
  const worker = async (): Promise<void> => {
    for (let changes = waiting.pop(); changes; changes = waiting.pop()) {
      // One after the other, in the order sent: +10 then "set 0" is not "set 0" then +10.
      for (const event of changes) {
        if (!(await moveLevel(event, applyStorage, now)))
          rejected.push(invalid(event.index, "data.storageBytes: the level would pass 2^53 - 1"));
      }
    }
  };
  await Promise.all(Array.from({ length: OBJECTS_AT_ONCE }, worker));
  return rejected;
}

async function moveLevel(
  { account, service, namespace, object, storageBytes, key }: DatedEvent,
  applyStorage: ApplyStorage,
  now: number,
): Promise<boolean> {
  if (storageBytes === null || storageBytes === undefined) return true;
  const change: CheckRequest = {
    account,
    ...(service === "" ? {} : { service }),
    ...(namespace === "" ? {} : { namespace }),
    ...(object === null ? {} : { object }),
    storageBytes,
    idempotencyKey: `${KEY_PREFIX}${key}`,
  };
  try {
    return (await applyStorage(change, now)).allowed;
  } catch (error) {
    // Sent before with another change, and not booked then: that one stands, for one event counts once.
    if (error instanceof WeirError && error.code === "idempotency_mismatch") return true;
    throw error;
  }
}
