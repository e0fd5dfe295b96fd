import { createTransport } from "nodemailer";
import { monotonicMs } from "../kernel/clock.ts";
import { within } from "../kernel/time-limit.ts";
import type { ClaimedMail } from "./delivery.ts";
import { mailText } from "./mail-text.ts";

/** How to send mail. */
export interface MailOptions {
  /** `smtp://user:password@host:587` or `smtps://…`. */
  smtpUrl: string;
  /** The sender, such as `Weir <weir@example.com>`. */
  from: string;
}

/** Each step of the conversation with the server, and the whole of it. */
const STEP_TIMEOUT_MS = 10_000;
const MAIL_TIMEOUT_MS = 30_000;

/** How sending a mail ended. `permanent`: the server will never take it. */
export interface MailEnd {
  statusCode: number | null;
  error: string | null;
  answer: string | null;
  permanent: boolean;
  latencyMs: number;
}

/** Sends notifications through one SMTP server. */
export class Mailer {
  readonly #transport: ReturnType<typeof createTransport>;
  readonly #from: string;

  constructor({ smtpUrl, from }: MailOptions) {
    this.#from = from;
    this.#transport = createTransport({
      url: smtpUrl,
      connectionTimeout: STEP_TIMEOUT_MS,
      greetingTimeout: STEP_TIMEOUT_MS,
      socketTimeout: STEP_TIMEOUT_MS,
      dnsTimeout: STEP_TIMEOUT_MS,
      // Messages are our own text: no file and no URL is ever to be read for one.
      disableFileAccess: true,
      disableUrlAccess: true,
    });
  }

  /** Sends one mail. Its Message-ID is the message's, so that a mailbox can tell a repetition. Never rejects. */
  async send(mail: ClaimedMail): Promise<MailEnd> {
    const from = monotonicMs();
    const domain = /@([^>\s]+)/.exec(this.#from)?.[1] ?? "weir.invalid";
    const sending = this.#transport
      .sendMail({
        from: this.#from,
        to: { name: "", address: mail.recipient },
        messageId: `<${mail.message}@${domain}>`,
        headers: { "Auto-Submitted": "auto-generated" },
        ...mailText(mail.body),
      })
      .then(({ response }) => ({ ...replyOf(response), error: null, permanent: false }), failureOf);
    const end = await within(sending, MAIL_TIMEOUT_MS, { statusCode: null, answer: null, error: "timeout", permanent: false });
    return { ...end, latencyMs: Math.round(monotonicMs() - from) };
  }

  close(): void {
    this.#transport.close();
  }
}

const ANSWER_LENGTH_MAX = 1_024;

const replyOf = (response: string | undefined): { statusCode: number | null; answer: string | null } => ({
  statusCode: Number(/^\d{3}/.exec(response ?? "")?.[0] ?? Number.NaN) || null,
  answer: response?.replaceAll("\0", "\ufffd").slice(0, ANSWER_LENGTH_MAX) ?? null,
});

/** A mailbox that the server refuses for good (550 …) is not tried again; a fault of ours or of the network is. */
function failureOf(error: unknown): Omit<MailEnd, "latencyMs"> {
  const { code, response, responseCode } = error as { code?: unknown; response?: string; responseCode?: number };
  const permanent = (code === "EENVELOPE" || code === "EMESSAGE") && responseCode !== undefined && responseCode >= 500;
  const reply = replyOf(response);
  return { ...reply, error: reply.statusCode === null ? "connection_failed" : "bad_status", permanent };
}
