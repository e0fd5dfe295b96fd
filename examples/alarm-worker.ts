import { Webhook, WebhookVerificationError } from "standardwebhooks";

/** What is used of an alarm's call. */
export interface Alarm {
  alarmId: string;
  object: string;
  retryCount: number;
}

/** Answers `POST /.weir/state/{namespace}/{object}/alarm`: rings for a call that the namespace's secret has signed, and for no other. */
export async function answerAlarm(call: Request, secret: string, ring: (alarm: Alarm) => Promise<void>): Promise<Response> {
  try {
    await ring(new Webhook(secret).verify(await call.text(), Object.fromEntries(call.headers)) as Alarm);
    return new Response(null, { status: 204 });
  } catch (error) {
    // A handler that fails is the worker's to answer with 500: it is called again.
    return new Response(null, { status: error instanceof WebhookVerificationError ? 401 : 500 });
  }
}
