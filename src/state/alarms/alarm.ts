import type { Profile } from "../../config.ts";

/** The alarm of an object. Times are epoch milliseconds. */
export interface Alarm {
  scheduledAt: number;
  /** When the next attempt may be made. */
  nextAttemptAt: number;
  /** Attempts that failed, which is how often the next one will have been retried. */
  retryCount: number;
  /** Why the last attempt failed, or why none is made; null when nothing is amiss. */
  trouble: string | null;
}

/** An alarm in a deliverer's hands until its lease ends. */
export interface ClaimedAlarm {
  account: string;
  service: string;
  /** The namespace's number, name and time of creation. */
  namespace: { number: number; name: string; createdAt: number };
  object: string;
  /** Which setting of the object's alarm this is. */
  setting: string;
  scheduledAt: number;
  failures: number;
  workerUrl: string;
  /** What its calls are signed with, the newest first; two while a rotation lasts. */
  secrets: Buffer[];
  lease: string;
}

/** A handler that fails is called again this often; then its alarm is cleared. */
const RETRIES_MAX = 6;
/** The wait after the first failure, milliseconds; each later one is twice as long: 2, 4, 8, 16, 32, 64 s. */
const FIRST_WAIT_MS = 2_000;

/** When to try again after a failure that `failures` others came before; null for not again. */
export const retryAt = (failures: number, now: number): number | null =>
  failures >= RETRIES_MAX ? null : now + FIRST_WAIT_MS * 2 ** failures;

/** Where a worker takes the alarm: below its URL's own path, with the names escaped. */
export function alarmUrl(workerUrl: string, profile: Profile, namespace: string, object: string): string {
  const url = new URL(workerUrl);
  url.hash = "";
  url.pathname = `${url.pathname.replace(/\/+$/, "")}/.${profile}/state/${namespace}/${encodeURIComponent(object)}/alarm`;
  return url.href;
}

/** What the worker is told. */
export function alarmBody({ account, service, namespace, object, setting, scheduledAt, failures }: ClaimedAlarm): Buffer {
  const told = {
    account,
    service,
    namespace: namespace.name,
    object,
    // The same in every attempt of one setting: at least once means that a worker may see it again.
    alarmId: setting,
    scheduledAt: new Date(scheduledAt).toISOString(),
    scheduledAtUnixMs: scheduledAt,
    retryCount: failures,
    isRetry: failures > 0,
  };
  return Buffer.from(JSON.stringify(told));
}
