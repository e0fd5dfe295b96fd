import { randomInt } from "node:crypto";
import { systemResolve, type Egress } from "../egress/egress.ts";
import { post, POST_TIMEOUT_MS } from "../egress/post.ts";
import { monotonicMs, type Clock } from "../kernel/clock.ts";
import { within } from "../kernel/time-limit.ts";
import type { Db } from "../stores/database.ts";
import type { ClaimedMail, ClaimedWebhook } from "./delivery.ts";
import { Mailer, type MailOptions } from "./mail.ts";
import { claimMails, claimWebhooks, endAttempt } from "./outbox-store.ts";
import { outcomeOf, type Outcome } from "./retry.ts";
import { signedHeaders } from "./signature.ts";

/**
 * Webhook deliveries under way in this process, at 64 KiB of an answer each: endpoints that begin to hang take four until the first of
 * theirs has failed, and one from then on, so that 127 may begin to hang at once, or 511 have hung for days, and delay nobody else.
 */
const IN_FLIGHT_MAX = 512;
const MAILS_IN_FLIGHT_MAX = 4;
/** How soon what falls due while deliveries are under way is seen. */
const LOOK_MS = 250;
/** A run starts nothing new after this; the next one does. */
const RUN_MAX_MS = 20_000;
/** What is under way when the process closes has this long; the rest is sent again by another. */
const STOP_TIMEOUT_MS = 2_000;
const USER_AGENT = "Weir-Webhooks/1";

export interface DispatcherOptions {
  egress?: Egress;
  /** Null: no mail is sent. */
  mail?: MailOptions | null;
  /** How long one delivery may take, real time. */
  postTimeoutMs?: number;
  /** In [0, 1): spreads retries. */
  random?: () => number;
}

/** Delivers what is due in the outbox. Any number of processes may; each delivery is with one of them at a time. */
export class Dispatcher {
  readonly egress: Egress;
  readonly #db: Db;
  readonly #clock: Clock;
  readonly #mailer: Mailer | null;
  readonly #postTimeoutMs: number;
  readonly #random: () => number;
  readonly #webhooks = new Set<Promise<void>>();
  /** The last of what an endpoint is sent of one moment. */
  readonly #turns = new Map<string, Promise<void>>();
  readonly #mails = new Set<Promise<void>>();
  #running: Promise<void> | null = null;
  #stopped = false;

  constructor(db: Db, clock: Clock, options: DispatcherOptions = {}) {
    this.#db = db;
    this.#clock = clock;
    this.egress = options.egress ?? { allowPrivate: false, resolve: systemResolve(false) };
    this.#mailer = options.mail ? new Mailer(options.mail) : null;
    this.#postTimeoutMs = options.postTimeoutMs ?? POST_TIMEOUT_MS;
    this.#random = options.random ?? (() => randomInt(2 ** 32) / 2 ** 32);
  }

  /** Delivers all that is due; resolves when nothing is due and nothing under way, or its time is up. Rejects when a store is away. */
  async deliverDue(): Promise<void> {
    // A run that is about to end may miss what has just been made: whoever asked meanwhile gets a run of its own.
    while (this.#running) await this.#running.catch(() => undefined);
    this.#running = this.#run().finally(() => (this.#running = null));
    return this.#running;
  }

  /** Takes nothing more, and waits a little for what is under way. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await within(Promise.all([...this.#webhooks, ...this.#mails]), STOP_TIMEOUT_MS, null);
    this.#mailer?.close();
  }

  async #run(): Promise<void> {
    const errors: unknown[] = [];
    const until = monotonicMs() + RUN_MAX_MS;
    for (;;) {
      const open = !this.#stopped && errors.length === 0 && monotonicMs() < until;
      const wasIdle = this.#webhooks.size + this.#mails.size === 0;
      const taken = open ? await this.#take(errors).catch((error: unknown) => (errors.push(error), 0)) : 0;
      const flights = [...this.#webhooks, ...this.#mails];
      // One that ended while we looked had kept us from what else its endpoint is sent: look again.
      if (flights.length === 0 && (wasIdle || !open)) break;
      if (taken === 0 && flights.length > 0) await within(Promise.race(flights), LOOK_MS, null);
    }
    // A store that closes under a stopped dispatcher is no trouble: another process sends it again.
    if (errors.length > 0 && !this.#stopped) throw errors[0];
  }

  /** Takes what is due, as far as there is room, and sets it going. Answers how much. */
  async #take(errors: unknown[]): Promise<number> {
    const now = this.#clock.now();
    const room = IN_FLIGHT_MAX - this.#webhooks.size;
    const webhooks = room > 0 ? await claimWebhooks(this.#db, now, room) : [];
    for (const claimed of webhooks) track(this.#webhooks, this.#inTurn(claimed), errors);
    const mailRoom = this.#mailer ? MAILS_IN_FLIGHT_MAX - this.#mails.size : 0;
    const mails = mailRoom > 0 ? await claimMails(this.#db, now, mailRoom) : [];
    for (const claimed of mails) track(this.#mails, this.#mail(claimed), errors);
    return webhooks.length + mails.length;
  }

  /** What was said in one moment arrives in the order in which it was said: an operation that jumps over two thresholds tells of 80 % first. */
  #inTurn(claimed: ClaimedWebhook): Promise<void> {
    const moment = `${claimed.account}/${claimed.webhook}/${claimed.createdAt}`;
    const before = this.#turns.get(moment) ?? Promise.resolve();
    const delivery = before.then(() => this.#deliver(claimed));
    const turn = delivery
      .catch(() => {})
      .then(() => {
        if (this.#turns.get(moment) === turn) this.#turns.delete(moment);
      });
    this.#turns.set(moment, turn);
    return delivery;
  }

  async #deliver(claimed: ClaimedWebhook): Promise<void> {
    const headers = {
      "content-type": "application/json",
      "user-agent": USER_AGENT,
      ...signedHeaders(claimed.message, this.#clock.now(), claimed.body, claimed.secrets),
    };
    const ended = await post({ url: claimed.url, headers, body: claimed.body }, this.egress, this.#postTimeoutMs);
    const now = this.#clock.now();
    await endAttempt(this.#db, claimed, ended, outcomeOf(ended, claimed.failures, now, this.#random()), now);
  }

  async #mail(claimed: ClaimedMail): Promise<void> {
    if (!this.#mailer) return;
    const ended = await this.#mailer.send(claimed);
    const now = this.#clock.now();
    const outcome: Outcome = outcomeOf({ ...ended, retryAfter: null }, claimed.failures, now, this.#random());
    await endAttempt(this.#db, claimed, ended, ended.permanent ? { ...outcome, nextAt: null } : outcome, now);
  }
}

/** Keeps a delivery in `flights` until it has ended; a store that failed is remembered, since nobody else awaits it. */
function track(flights: Set<Promise<void>>, delivery: Promise<void>, errors: unknown[]): void {
  const flight: Promise<void> = delivery.catch((error: unknown) => void errors.push(error)).finally(() => void flights.delete(flight));
  flights.add(flight);
}
