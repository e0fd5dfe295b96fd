import type { Counted, Operation } from "../counters/check-call.ts";
import type { UnbookedTotals } from "../ledger/unbooked.ts";
import type { GateStores } from "./account-loader.ts";
import { NO_OBJECT, placeOfObject } from "./operation.ts";

/** Keeps this process' copy of what is about to be acknowledged: with Redis' it is the second one until Postgres has it. */
export function acknowledge({ unbooked, objectRequests }: GateStores, operation: Operation, reply: Counted): void {
  if (operation.mode === "peek" || operation.mode === "reserve") return;
  const { account, source, place, usage, storage, hour, now } = operation;
  const { header, objectBefore, objectAfter, integral } = reply;
  const bucket = Math.max(hour, header.day.start, header.month.start);
  for (const [meter, quantity] of usage) {
    if (quantity > 0) unbooked.add(account, source, header.epoch, bucket, place, meter, quantity);
  }
  if (operation.object !== NO_OBJECT) objectRequests.count(account, operation.object, usage, now);
  if (!storage || objectBefore === objectAfter) return;
  const { epoch, objectSeq: seq } = header;
  unbooked.setLevel({ account, meter: storage.meter, ...placeOfObject(operation.object), bytes: objectAfter, epoch, seq, at: now });
  if (integral) unbooked.setGauge({ account, meter: storage.meter, epoch, level: reply.meters.at(-1)?.day.used ?? 0, seq, ...integral });
}

/** The same for the answer to an idempotency key, allowed or denied. */
export function acknowledgeKey(unbooked: UnbookedTotals, { account, idempotency, now }: Operation, { kept }: Counted): void {
  if (idempotency && kept.length > 0) unbooked.setKey({ account, keyHash: idempotency.field, answer: kept, at: now });
}
