import { notFound } from "../../kernel/errors.ts";
import type { Db } from "../../stores/database.ts";
import type { Address, StateContext } from "../context.ts";
import { namespaceId } from "../namespace.ts";
import { naming } from "../put-value.ts";
import type { Alarm } from "./alarm.ts";
import { findAlarm, removeAlarm, upsertAlarm } from "./alarm-store.ts";

/** When an alarm is to ring, as its owner says it. */
export type AlarmTime = { delaySeconds: number } | { scheduledAt: number };

/** Sets the object's one alarm, in place of any it had. A time that has passed rings at once. Throws what the gate says; then nothing has changed. */
export function setAlarm(context: StateContext, db: Db, address: Address, time: AlarmTime): Promise<Alarm> {
  const { namespace, object } = address;
  return context.files.inTurn(namespace, object, async () => {
    const now = context.clock.now();
    await context.admit({ ...naming(address, "alarm-set"), usage: context.usageOf("alarm-set") }, now);
    const at = "scheduledAt" in time ? time.scheduledAt : now + time.delaySeconds * 1_000;
    const alarm = await upsertAlarm(db, address, at);
    if (!alarm) throw notFound(`Namespace ${namespaceId(namespace)}`);
    return alarm;
  });
}

/** The object's alarm, null for none. An object needs no values to have one. */
export async function getAlarm(context: StateContext, db: Db, address: Address): Promise<Alarm | null> {
  return context.files.inTurn(address.namespace, address.object, async () => {
    const alarm = await findAlarm(db, address);
    await context.admit({ ...naming(address, "alarm-get"), usage: context.usageOf("alarm-get") }, context.clock.now());
    return alarm;
  });
}

/** Deletes the object's alarm; answers whether there was one. Counts its row either way: that is what the table says. */
export function deleteAlarm(context: StateContext, db: Db, address: Address): Promise<boolean> {
  return context.files.inTurn(address.namespace, address.object, async () => {
    const now = context.clock.now();
    await context.admit({ ...naming(address, "alarm-delete"), usage: context.usageOf("alarm-delete") }, now);
    return removeAlarm(db, address, now);
  });
}
