import { z } from "zod";
import { isKeyName, isObjectName, NAMESPACE_NAME_PATTERN, NAMESPACE_PATTERN, SERVICE_PATTERN } from "../../kernel/ids.ts";
import { parseInstant } from "../../kernel/window.ts";
import { ENCODINGS } from "../../state/encoding.ts";

const WORKER_URL_LENGTH_MAX = 2_048;

const service = z.string().regex(SERVICE_PATTERN, "must be 1–64 of A–Z a–z 0–9 _ . : -").describe("The account's name for a service.");
const namespace = z
  .string()
  .regex(NAMESPACE_PATTERN, "must be a name such as Room, or state_namespace_<n>")
  .describe("A namespace by its name or its id.");
const object = z.string().refine(isObjectName, "must be 1–512 characters without / and control characters").describe("An object's name.");
const key = z
  .string()
  .refine(isKeyName, "must be 1–512 characters without control characters")
  .describe("A key of the object; escape / as %2F.");

export const serviceParams = z.object({ service });
export const namespaceParams = z.object({ service, namespace });
export const objectParams = z.object({ service, namespace, object });
export const valueParams = z.object({ service, namespace, object, key });

export const serviceBody = z.strictObject({
  workerUrl: z
    .url({ protocol: /^https?$/, error: "must be an http or https URL" })
    .max(WORKER_URL_LENGTH_MAX)
    .nullable()
    .optional()
    .describe("Where alarms are delivered. Left out, it stays as it is; null removes it."),
});

export const namespaceBody = z.strictObject({
  name: z.string().regex(NAMESPACE_NAME_PATTERN, "must begin with A–Z and go on with up to 63 of A–Z a–z 0–9"),
});

export const valueBody = z.strictObject({
  value: z.string().describe("The value: text, or bytes as padded base64."),
  encoding: z.enum(ENCODINGS).default("text"),
});

/** Ten years: what is set further off was a unit mixed up. */
const DELAY_SECONDS_MAX = 315_360_000;
/** The last instant that Postgres and JavaScript both write with four digits of a year. */
const UNIX_MS_MAX = Date.UTC(9999, 11, 31);

const instant = z
  .string()
  .max(40)
  .refine((text) => parseInstant(text) !== null, "must be an RFC 3339 time such as 2026-11-21T00:00:00Z");

/** When an alarm rings: exactly one of the three. A time that has passed rings at once. */
export const alarmBody = z
  .strictObject({
    delaySeconds: z.int().min(0).max(DELAY_SECONDS_MAX).optional(),
    scheduledAt: instant.optional(),
    scheduledAtUnixMs: z.int().min(0).max(UNIX_MS_MAX).optional(),
  })
  .refine((body) => Object.keys(body).length === 1, "name exactly one of delaySeconds, scheduledAt and scheduledAtUnixMs");

const time = z.iso.datetime();
const bytes = z.int().min(0);
const nextCursor = z.string().nullable().describe("Where the next page begins; null at the end.");

export const serviceAnswer = z.object({ service: z.string(), workerUrl: z.string().nullable(), createdAt: time });

export const namespaceAnswer = z.object({
  id: z.string().describe("state_namespace_<n>; never used again."),
  name: z.string(),
  service: z.string(),
  createdAt: time,
  storageBytes: bytes.describe("All its objects together."),
});

const secret = z.string().describe("Signs the calls of the namespace's alarms, by Standard Webhooks. It is shown this once.");

export const namespaceCreatedAnswer = namespaceAnswer.extend({ secret });

export const namespaceRotatedAnswer = z.object({
  id: z.string(),
  name: z.string(),
  service: z.string(),
  secret,
  previousSecretUntil: time.describe("Until then calls are signed with the old secret too."),
});

export const namespacesAnswer = z.object({ namespaces: z.array(namespaceAnswer), nextCursor });

export const namespaceDeletedAnswer = z.object({ id: z.string(), name: z.string(), service: z.string(), deleted: z.literal(true) });

const entryAnswer = z.object({
  key: z.string(),
  valueSizeBytes: bytes.describe("The value alone, without its key."),
  createdAt: time,
  updatedAt: time,
});

export const objectsAnswer = z.object({
  objects: z.array(
    z.object({
      objectKey: z.string(),
      storageBytes: bytes.describe("Measured by SQLite."),
      createdAt: time,
      lastSeenAt: time.describe("The last write; reads move it by the minute."),
    }),
  ),
  nextCursor,
});

export const keysAnswer = z.object({ keys: z.array(entryAnswer), listComplete: z.boolean(), nextCursor });

export const storedAnswer = z.object({ namespace: z.string(), object: z.string(), entry: entryAnswer });

export const valueAnswer = storedAnswer.extend({
  valueText: z.string().nullable().describe("The value as text; null where it is not UTF-8."),
  valueBase64: z.string(),
});

export const valueDeletedAnswer = z.object({
  namespace: z.string(),
  object: z.string(),
  key: z.string(),
  deleted: z.boolean().describe("False when there was no such key."),
});

export const alarmAnswer = z.object({
  namespace: z.string(),
  object: z.string(),
  scheduledAt: time.nullable().describe("Null where the object has no alarm."),
  scheduledAtUnixMs: z.int().nullable(),
  nextAttemptAt: time.nullable().describe("When it is delivered next: later than scheduledAt after a failure or a denial."),
  retryCount: z.int().min(0).describe("Attempts whose handler failed; after 6 retries the alarm is cleared."),
  lastError: z
    .string()
    .nullable()
    .describe("Why the last attempt failed, or why none is made: no_worker, limit_exceeded, bad_status, timeout, address_refused, …"),
});

export const alarmDeletedAnswer = z.object({
  namespace: z.string(),
  object: z.string(),
  deleted: z.boolean().describe("False when there was no alarm."),
});
