import { monotonicMs } from "../../kernel/clock.ts";
import { within } from "../../kernel/time-limit.ts";
import type { Db } from "../../stores/database.ts";
import type { CeilingOf } from "../context.ts";
import type { ClaimedAlarm } from "./alarm.ts";
import { claimAlarms, endAttempt, keepAlarms, putOff, wakeAlarms, type AttemptEnd } from "./alarm-store.ts";
import { Attempt, deliverAlarm, PARKED_MS, type DeliveryContext } from "./deliver-alarm.ts";

/** Handlers under way in this process. */
const IN_FLIGHT_MAX = 256;
/** A deliverer that has not said so by then has its alarms no more. Its heart beats three times in it, in real time. */
const LEASE_MS = 15_000;
const HEARTBEAT_MS = 5_000;
/** How soon what falls due while handlers run is seen; and looking takes no more than this share of the time, whatever waits. */
const LOOK_MS = 250;
const LOOK_SHARE = 1 / 5;
/** A run waits no longer than this for handlers; the next one goes on. */
const RUN_MAX_MS = 20_000;
/** What is under way when the process closes has this long; the rest is called again by another. */
const STOP_TIMEOUT_MS = 1_500;
/** Put off for one of these, an alarm is due again when a limit moves. */
const LIMITED = ["limit_exceeded"];
/** Put off for one of these, an alarm is due again when its service is set up anew. */
const UNREACHABLE = ["no_worker", "address_refused"];

/** How long a handler may take where the plan does not say. */
const HANDLER_S_DEFAULT = 900;

interface Flight {
  alarm: ClaimedAlarm;
  attempt: Attempt;
  startedAt: number;
  startedMs: number;
  timeMs: number;
  /** Its end is being booked: its lease is no longer kept. */
  ending: boolean;
  ended: Promise<void>;
}

/** Delivers alarms that are due. Any number of processes may; each alarm is with one of them at a time. */
export class Alarms {
  readonly #db: Db;
  readonly #context: DeliveryContext;
  readonly #ceilingOf: CeilingOf;
  /** By object: an alarm whose lease ran out under us, because the clock jumped, is taken again and goes on. */
  readonly #flights = new Map<string, Flight>();
  #running: Promise<void> | null = null;
  #beating: Promise<void> | null = null;
  #beatMs = 0;
  #stopped = false;

  constructor(db: Db, context: DeliveryContext, ceilingOf: CeilingOf) {
    this.#db = db;
    this.#context = context;
    this.#ceilingOf = ceilingOf;
  }

  /** Delivers all that is due; resolves when nothing is due and nothing under way, or its time is up. Rejects when a store is away. */
  async deliverDue(): Promise<void> {
    // A run that is about to end may miss what was just set: whoever asked meanwhile gets a run of its own.
    while (this.#running) await this.#running.catch(() => undefined);
    this.#running = this.#run().finally(() => (this.#running = null));
    return this.#running;
  }

  /** Cuts handlers whose time is up and keeps the leases of the others. Call it a few times a second. */
  tick(): void {
    const [now, nowMs] = [this.#context.clock.now(), monotonicMs()];
    for (const { attempt, startedAt, startedMs, timeMs } of this.#flights.values()) {
      if (now - startedAt >= timeMs || nowMs - startedMs >= timeMs) attempt.cut("timeout");
    }
    if (this.#flights.size > 0 && this.#beating === null && nowMs - this.#beatMs >= HEARTBEAT_MS) this.#beat(nowMs);
  }

  /** A limit of the account has moved: alarms that one denied are due again. */
  wakeDenied(account: string): Promise<void> {
    return wakeAlarms(this.#db, account, null, LIMITED, this.#context.clock.now());
  }

  /** The service was set up anew: alarms that waited for it are due again. */
  wakeService(account: string, service: string): Promise<void> {
    return wakeAlarms(this.#db, account, service, UNREACHABLE, this.#context.clock.now());
  }

  /** Takes nothing more, waits a little for the handlers that run, and gives the others' alarms back. */
  async stop(): Promise<void> {
    this.#stopped = true;
    const ended = [...this.#flights.values()].map((flight) => flight.ended);
    await within(Promise.all(ended), STOP_TIMEOUT_MS, null);
    for (const { attempt } of this.#flights.values()) attempt.cut("interrupted");
    await within(Promise.all(ended), STOP_TIMEOUT_MS, null);
    await this.#beating;
  }

  async #run(): Promise<void> {
    const errors: unknown[] = [];
    const until = monotonicMs() + RUN_MAX_MS;
    for (;;) {
      const open = !this.#stopped && errors.length === 0 && monotonicMs() < until;
      // What is under way now may leave something due when it ends, which a look that began before does not see.
      const busy = this.#flights.size > 0;
      const from = monotonicMs();
      const taken = open ? await this.#take(errors).catch((error: unknown) => (errors.push(error), 0)) : 0;
      if (!open || (!busy && taken === 0)) break;
      const ended = [...this.#flights.values()].map((flight) => flight.ended);
      const waitMs = Math.max(LOOK_MS, (monotonicMs() - from) / LOOK_SHARE);
      if (taken === 0 && ended.length > 0) await within(Promise.race(ended), waitMs, null);
    }
    // A store that closes under stopped alarms is no trouble: another process calls again.
    if (errors.length > 0 && !this.#stopped) throw errors[0];
  }

  /** Takes what is due, as far as there is room, and calls. Answers how much. */
  async #take(errors: unknown[]): Promise<number> {
    const room = IN_FLIGHT_MAX - this.#flights.size;
    if (room <= 0) return 0;
    const now = this.#context.clock.now();
    const claimed = await claimAlarms(this.#db, { limit: room, leasedUntil: now + LEASE_MS, parkedUntil: now + PARKED_MS }, now);
    for (const alarm of claimed) this.#start(alarm, errors);
    return claimed.length;
  }

  #start(alarm: ClaimedAlarm, errors: unknown[]): void {
    const key = `${alarm.account}/${alarm.namespace.number}/${alarm.object}`;
    const own = this.#flights.get(key);
    if (own?.ending) {
      // Its end was booked as we looked: what we took is the alarm that was set meanwhile.
      void own.ended.then(() => this.#start(alarm, errors));
      return;
    }
    if (own) {
      own.alarm.lease = alarm.lease;
      return;
    }
    const flight: Flight = {
      alarm,
      attempt: new Attempt(),
      startedAt: this.#context.clock.now(),
      startedMs: monotonicMs(),
      timeMs: Infinity,
      ending: false,
      ended: Promise.resolve(),
    };
    this.#flights.set(key, flight);
    flight.ended = this.#deliver(flight)
      .catch((error: unknown) => void errors.push(error))
      .finally(() => void this.#flights.delete(key));
  }

  async #deliver(flight: Flight): Promise<void> {
    const { alarm, attempt } = flight;
    const seconds = (await this.#ceilingOf(alarm.account, "stateAlarmDurationSeconds")) ?? HANDLER_S_DEFAULT;
    flight.timeMs = seconds * 1_000;
    const end = await deliverAlarm(this.#context, alarm, attempt);
    flight.ending = true;
    await endAttempt(this.#db, alarm, end);
    if (isDenied(end)) await putOff(this.#db, alarm, this.#context.clock.now(), end.at, end.trouble);
  }

  #beat(nowMs: number): void {
    this.#beatMs = nowMs;
    const leases = [...new Set([...this.#flights.values()].map(({ alarm }) => alarm.lease))];
    this.#beating = keepAlarms(this.#db, leases, this.#context.clock.now() + LEASE_MS)
      .catch(this.#context.onTrouble)
      .finally(() => (this.#beating = null));
  }
}

const isDenied = (end: AttemptEnd): end is Extract<AttemptEnd, { outcome: "again" }> =>
  end.outcome === "again" && end.trouble === "limit_exceeded";
