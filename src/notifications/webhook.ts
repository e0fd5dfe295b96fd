import { z } from "zod";
import { parseEndpoint, RefusedDestination, URL_LENGTH_MAX, vettedAddresses, type Egress } from "../egress/egress.ts";
import { validationFailed } from "../kernel/errors.ts";
import { within } from "../kernel/time-limit.ts";
import { NOTIFICATION_TYPES, TEST_TYPE } from "./notification.ts";

/** Endpoints an account may have: each is one more delivery of every notification. */
export const WEBHOOKS_MAX = 20;
/** How long the old secret signs too after a rotation, unless the caller says otherwise. */
const PREVIOUS_SECRET_SECONDS_DEFAULT = 86_400;
const PREVIOUS_SECRET_SECONDS_MAX = 7 * 86_400;
/** Registering waits this long for a name; each delivery looks it up again. */
const LOOK_UP_MS = 2_000;

export interface Webhook {
  id: string;
  url: string;
  /** Types it wants; empty: all. */
  events: string[];
  description: string | null;
  createdAt: number;
  /** When it was disabled, and why: it only failed for days, or it answered 410. */
  disabledAt: number | null;
  disabledReason: "failing" | "gone" | null;
  /** Of the failures since the last success, the first. */
  firstFailureAt: number | null;
  /** Until when the secret before a rotation signs too. */
  previousSecretUntil: number | null;
}

/** What an endpoint may ask for. A test reaches it in any case: somebody asked for that one. */
export const EVENT_TYPES = [...NOTIFICATION_TYPES, TEST_TYPE] as const;

/** Body of `POST /v1/webhooks`. */
export const newWebhookSchema = z.strictObject({
  url: z.string().min(1).max(URL_LENGTH_MAX),
  events: z.array(z.enum(EVENT_TYPES)).max(EVENT_TYPES.length).optional(),
  description: z
    .string()
    .min(1)
    .max(200)
    .refine((s) => s.isWellFormed() && !/[\u0000-\u001f\u007f-\u009f]/.test(s), "must not hold control characters")
    .optional(),
});

/** Body of `POST /v1/webhooks/{id}/rotate`. */
export const rotationSchema = z.strictObject({
  previousSecretSeconds: z.int().min(0).max(PREVIOUS_SECRET_SECONDS_MAX).default(PREVIOUS_SECRET_SECONDS_DEFAULT),
});

/**
 * The URL of a new endpoint in its normal form; `validation_failed` for one that nothing would ever be sent to. A name that cannot be
 * looked up now is taken: it may come to exist, and every delivery checks again.
 */
export async function checkNewUrl(text: string, egress: Egress): Promise<string> {
  try {
    const url = parseEndpoint(text, egress);
    await within(vettedAddresses(url, egress).catch(unlessRefused), LOOK_UP_MS, null);
    return url.href;
  } catch (error) {
    if (error instanceof RefusedDestination) throw validationFailed([{ path: "url", message: error.message }]);
    throw error;
  }
}

function unlessRefused(error: unknown): void {
  if (error instanceof RefusedDestination) throw error;
}
