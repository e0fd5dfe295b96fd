import type { Profile } from "../../config.ts";
import type { Egress } from "../../egress/egress.ts";
import { post, type PostAnswer } from "../../egress/post.ts";
import { WeirError } from "../../kernel/errors.ts";
import { DAY_MS } from "../../kernel/window.ts";
import { signedHeaders } from "../../notifications/signature.ts";
import type { Awake } from "../awake.ts";
import type { Address, StateContext } from "../context.ts";
import { naming } from "../put-value.ts";
import { alarmBody, alarmUrl, retryAt, type ClaimedAlarm } from "./alarm.ts";
import type { AttemptEnd } from "./alarm-store.ts";

/** A denied delivery is tried again at the reset, or this soon: whatever lifts a limit besides wakes it earlier (`wakeAlarms`). */
const DENIED_WAIT_MS = 60_000;
/** How soon a delivery is tried again that could not be decided, because a store was away. */
const UNDECIDED_WAIT_MS = 5_000;
/** How soon a worker is tried again that may not be reached. */
export const PARKED_MS = 5 * 60_000;
/** Real time, since it bounds a socket: whatever the clock says, nothing hangs for ever. */
const POST_TIMEOUT_MAX_MS = DAY_MS;
const USER_AGENT = "Weir-Alarms/1";

/** What cuts an attempt short. */
export type Cut = "timeout" | "limit_exceeded" | "unavailable" | "interrupted";

export interface DeliveryContext extends StateContext {
  awake: Awake;
  egress: Egress;
  profile: Profile;
}

/** One attempt that can be cut. */
export class Attempt {
  readonly #cutter = new AbortController();
  #cut: Cut | null = null;

  get signal(): AbortSignal {
    return this.#cutter.signal;
  }

  /** Why it was cut; null while it was not. */
  get why(): Cut | null {
    return this.#cut;
  }

  cut(why: Cut): void {
    this.#cut ??= why;
    this.#cutter.abort();
  }
}

/**
 * Calls the object's handler once: metered before it is called (a request) and while it runs (duration). A denial is no failure of the
 * handler: the alarm is put off, and nothing is counted.
 */
export async function deliverAlarm(context: DeliveryContext, alarm: ClaimedAlarm, attempt: Attempt): Promise<AttemptEnd> {
  const { account, service, object, namespace } = alarm;
  const address: Address = { namespace: { account, service, ...namespace }, object };
  try {
    const stay = await context.awake.enter(address, (reason) =>
      attempt.cut(reason.code === "limit_exceeded" ? "limit_exceeded" : "unavailable"),
    );
    try {
      const usage = context.usageOf("alarm-delivery");
      await context.admit({ ...naming(address, "alarm-delivery"), usage }, context.clock.now());
      const answer = attempt.why === null ? await call(context, alarm, attempt) : null;
      return endOf(context, alarm, attempt.why, answer);
    } finally {
      await stay.leave();
    }
  } catch (error) {
    return putOff(error, context.clock.now());
  }
}

/** Signed as a webhook is: the setting of the alarm is the message, the same in every attempt. */
function call({ clock, egress, profile }: DeliveryContext, alarm: ClaimedAlarm, attempt: Attempt): Promise<PostAnswer> {
  const url = alarmUrl(alarm.workerUrl, profile, alarm.namespace.name, alarm.object);
  const body = alarmBody(alarm);
  const signature = signedHeaders(alarm.setting, clock.now(), body, alarm.secrets);
  const headers = { "content-type": "application/json", "user-agent": USER_AGENT, ...signature };
  return post({ url, headers, body }, egress, POST_TIMEOUT_MAX_MS, attempt.signal);
}

function endOf({ clock }: DeliveryContext, { failures }: ClaimedAlarm, cut: Cut | null, answer: PostAnswer | null): AttemptEnd {
  const now = clock.now();
  // The worker's word counts, also when it came with the cut.
  if (answer?.error === null) return { outcome: "delivered" };
  if (cut === "interrupted") return { outcome: "again", failed: false, at: now, trouble: cut };
  if (cut === "limit_exceeded") return { outcome: "again", failed: false, at: now + DENIED_WAIT_MS, trouble: cut };
  if (cut === "unavailable") return { outcome: "again", failed: false, at: now + UNDECIDED_WAIT_MS, trouble: cut };
  const trouble = cut ?? answer?.error ?? "connection_failed";
  // The operator does not let the worker be reached: nothing was sent, and it would fail seven times the same way.
  if (trouble === "address_refused") return { outcome: "again", failed: false, at: now + PARKED_MS, trouble };
  const at = retryAt(failures, now);
  return at === null ? { outcome: "given_up", trouble } : { outcome: "again", failed: true, at, trouble };
}

/** What follows when the attempt was denied, or nobody could decide. */
function putOff(error: unknown, now: number): AttemptEnd {
  if (!(error instanceof WeirError)) throw error;
  if (error.code !== "limit_exceeded") return { outcome: "again", failed: false, at: now + UNDECIDED_WAIT_MS, trouble: error.code };
  const resetMs = (error.retryAfterSeconds ?? Infinity) * 1_000;
  return { outcome: "again", failed: false, at: now + Math.min(resetMs, DENIED_WAIT_MS), trouble: error.code };
}
