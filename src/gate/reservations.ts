import type { Ended, Ending, SettleReply } from "../counters/settle-call.ts";
import { notFound, unavailable, validationFailed, WeirError } from "../kernel/errors.ts";
import { findAccount } from "../accounts/account-store.ts";
import { objectLevel } from "../ledger/ledger-store.ts";
import type { AccountLoader, GateStores } from "./account-loader.ts";
import { ENDING_KEPT_MS } from "./check.ts";
import type { SettleRequest } from "./check-request.ts";
import { seenToStand } from "./still-stands.ts";
import { accountOfReservation, countersOf, hourOf, NO_OBJECT, placeOfObject } from "./operation.ts";

const ROUNDS_MAX = 8;

/** How a reservation ended. `exceeded`: what happened was more than was held, and passed a limit. */
export interface ReservationEnd {
  id: string;
  status: "settled" | "released";
  exceeded: boolean;
  usage: Record<string, number>;
}

/**
 * Ends a reservation: `settle` counts what happened (what is left out, as reserved), `release` counts nothing; both return what was
 * held, once, and may be repeated. Throws `not_found`, `reservation_expired`, `conflict` (ended the other way), `unavailable`.
 */
export async function endReservation(
  stores: GateStores,
  loader: AccountLoader,
  id: string,
  action: Ending["action"],
  request: SettleRequest,
  now: number,
): Promise<ReservationEnd> {
  const account = accountOfReservation(id);
  if (account === null) throw notFound(`Reservation ${id}`);
  const { usage, storageBytes } = request;
  const ending: Ending = {
    account,
    now,
    hour: hourOf(now),
    source: stores.unbooked.source,
    id,
    action,
    keptUntil: now + ENDING_KEPT_MS,
    storage: storageBytes ? storageOf(storageBytes) : null,
    storageMeter: stores.storageMeter,
    bookedLevel: null,
    usage: usage ? countersOf(stores.catalog.catalog, usage) : null,
  };
  for (let round = 0; round < ROUNDS_MAX; round++) {
    const reply = await settleNow(stores, ending);
    switch (reply.status) {
      case "load":
        await loader.load(account, reply.reason, reply.epoch, now);
        break;
      case "object":
        ending.bookedLevel = await objectLevel(stores.db, account, stores.storageMeter, placeOfObject(reply.object));
        break;
      case "meter":
      case "full":
      case "level":
        throw validationFailed([UNCOUNTABLE[reply.status]]);
      case "unknown":
        throw await lostOrUnknown(stores, account, id, now);
      case "expired":
      case "lost":
        throw gone(id, reply.status);
      case "otherwise":
        throw new WeirError("conflict", `Reservation ${id} was ${action === "settle" ? "released" : "settled"} already.`);
      case "ended":
      case "repeated":
        if (reply.status === "ended") keepCopy(stores, ending, reply);
        return {
          id,
          status: action === "settle" ? "settled" : "released",
          exceeded: reply.exceeded,
          usage: Object.fromEntries(reply.usage),
        };
    }
  }
  throw unavailable("A steady view of the account");
}

const storageOf = (told: NonNullable<SettleRequest["storageBytes"]>): NonNullable<Ending["storage"]> =>
  "set" in told ? { kind: "set", bytes: told.set } : { kind: "delta", bytes: told.delta };

/** What of a settlement cannot be counted, and why. */
const UNCOUNTABLE = {
  meter: { path: "usage", message: "names a meter this account does not have" },
  full: { path: "usage", message: "the counter would pass 2^53 − 1" },
  level: { path: "storageBytes", message: "the account's level would pass 2^53 − 1" },
} as const;

/** One call, under the source of the moment. */
async function settleNow(stores: GateStores, ending: Ending): Promise<SettleReply> {
  ending.source = stores.unbooked.source;
  const { generation } = stores.recall;
  const reply = await stores.counters.settle(ending);
  // Repeated, it finds the reservation ended, or lost with its store.
  if (generation === stores.recall.generation || reply.status !== "ended") return reply;
  if ((await seenToStand(stores, ending.account, reply.header.epoch)) !== stores.recall.generation)
    throw unavailable("A steady view of the account");
  return reply;
}

const HOW = {
  expired: "has expired: what it held has returned",
  lost: "is not held any more: it has expired, or the store that held it was lost",
} as const;

const gone = (id: string, how: keyof typeof HOW): WeirError =>
  new WeirError(
    "reservation_expired",
    `Reservation ${id} ${HOW[how]}, and nothing was counted. Reserve again, or report what happened as an event.`,
  );

/** An id of a well-formed shape that nothing is known of: its hold went with a lost store, or it was forgotten after a day. */
async function lostOrUnknown({ db }: GateStores, account: string, id: string, now: number): Promise<WeirError> {
  return (await findAccount(db, account, now)) ? gone(id, "lost") : notFound(`Reservation ${id}`);
}

function keepCopy({ unbooked, objectRequests, storageMeter }: GateStores, { account, source, now }: Ending, ended: Ended): void {
  const { header, bucket, place, usage, object, objectBefore, objectAfter, gauge } = ended;
  for (const [meter, quantity] of usage) unbooked.add(account, source, header.epoch, bucket, place, meter, quantity);
  if (object !== NO_OBJECT) objectRequests.count(account, object, usage, now);
  if (objectBefore === objectAfter) return;
  unbooked.setLevel({
    account,
    meter: storageMeter,
    ...placeOfObject(object),
    bytes: objectAfter,
    epoch: header.epoch,
    seq: header.objectSeq,
    at: now,
  });
  if (gauge) unbooked.setGauge({ account, meter: storageMeter, epoch: header.epoch, seq: header.objectSeq, ...gauge });
}
