import { createHmac, randomBytes } from "node:crypto";

/** Standard Webhooks takes 24 to 64. */
const SECRET_BYTES = 32;
const SECRET_PREFIX = "whsec_";

export const mintSecret = (): Buffer => randomBytes(SECRET_BYTES);

/** A secret as it is shown, once, to who registers the endpoint. */
export const secretText = (secret: Buffer): string => SECRET_PREFIX + secret.toString("base64");

/** The headers of Standard Webhooks: `webhook-timestamp` is this attempt's, in seconds; one signature a valid secret. */
export function signedHeaders(message: string, now: number, body: Buffer, secrets: readonly Buffer[]): Record<string, string> {
  const timestamp = String(Math.floor(now / 1000));
  const sign = (secret: Buffer): string =>
    `v1,${createHmac("sha256", secret).update(`${message}.${timestamp}.`).update(body).digest("base64")}`;
  return { "webhook-id": message, "webhook-timestamp": timestamp, "webhook-signature": secrets.map(sign).join(" ") };
}
