import { path } from "../api.ts";
import { show, type Args, type Context } from "../context.ts";
import { EXIT } from "../exit.ts";
import { usageError } from "../failure.ts";
import { printable } from "../terminal/style.ts";
import { namespacePath, type ServiceOptions } from "./namespaces.ts";

export interface AlarmSetOptions extends ServiceOptions {
  delaySeconds?: number;
}

interface Alarm {
  namespace: string;
  object: string;
  scheduledAt: string | null;
  nextAttemptAt: string | null;
  retryCount: number;
  lastError: string | null;
}

type Ok = typeof EXIT.ok;

const alarmPath = (service: string, namespace: string, object: string): string =>
  `${namespacePath(service, namespace)}${path`/objects/${object}/alarm`}`;

export async function setAlarm(context: Context, [namespace = "", object = "", time]: Args, options: AlarmSetOptions): Promise<Ok> {
  const body = alarmTime(time, options.delaySeconds);
  const alarm = await context.api.call<Alarm>("PUT", alarmPath(options.service, namespace, object), { body });
  show(context, alarm, () => [`Set the alarm of ${namespace}/${printable(object)} to ${alarm.scheduledAt}.`]);
  return EXIT.ok;
}

/** A time as RFC 3339 goes as it is; one in milliseconds since 1970, as the other platform's command takes it, as a number. */
function alarmTime(time: string | undefined, delaySeconds: number | undefined): object {
  if ((time === undefined) === (delaySeconds === undefined)) {
    const remedy = "Say when with --delay-seconds <n>, or with a time such as 2026-11-21T12:00:00Z as the last argument.";
    throw usageError(time === undefined ? "The alarm's time is missing." : "The alarm's time is given twice.", remedy);
  }
  if (time === undefined) return { delaySeconds };
  return /^\d+$/.test(time) ? { scheduledAtUnixMs: Number(time) } : { scheduledAt: time };
}

export async function getAlarm(context: Context, [namespace = "", object = ""]: Args, options: ServiceOptions): Promise<Ok> {
  const alarm = await context.api.call<Alarm>("GET", alarmPath(options.service, namespace, object));
  show(context, alarm, alarmLines);
  return EXIT.ok;
}

function alarmLines({ namespace, object, scheduledAt, nextAttemptAt, retryCount, lastError }: Alarm): string[] {
  const name = `${namespace}/${printable(object)}`;
  if (scheduledAt === null) return [`${name} has no alarm.`];
  if (lastError === null) return [`${name} has its alarm at ${scheduledAt}.`];
  const retried = retryCount === 0 ? "" : `; ${retryCount} of 7 attempts failed`;
  const why = REMEDIES[lastError] ?? lastError;
  return [`${name} had its alarm at ${scheduledAt}: ${printable(why)}${retried}.`, `Next attempt: ${nextAttemptAt}.`];
}

const REMEDIES: Readonly<Record<string, string>> = {
  no_worker: "its service has no worker (PUT /v1/services/{service} with workerUrl)",
  limit_exceeded: "a limit denies the delivery (weir usage shows which)",
  address_refused: "its worker's address may not be reached (see WEIR_WEBHOOK_ALLOW_PRIVATE)",
  bad_status: "its handler did not answer 2xx",
  timeout: "its handler took longer than it may",
};

export async function deleteAlarm(context: Context, [namespace = "", object = ""]: Args, options: ServiceOptions): Promise<Ok> {
  const body = await context.api.call<{ deleted: boolean }>("DELETE", alarmPath(options.service, namespace, object));
  const said = body.deleted ? "Deleted the alarm of" : "There was no alarm of";
  show(context, body, () => [`${said} ${namespace}/${printable(object)}.`]);
  return EXIT.ok;
}
