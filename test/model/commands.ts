import { deepEqual } from "node:assert/strict";
import * as fc from "fast-check";
import type { Decision } from "../../src/gate/decision.ts";
import { DAY_MS, windowsAt, type Period } from "../../src/kernel/window.ts";
import { leaseCommands } from "./lease-commands.ts";
import { CALENDAR, METERS, PERIODS, type Reference } from "./reference.ts";
import type { Command, Subject } from "./subject.ts";
import type { System } from "./system.ts";

type Usage = Readonly<Record<string, number>>;

const always = (): boolean => true;

function command(text: string, run: (model: Reference, subject: Subject) => Promise<void>): Command {
  return { check: always, run, toString: () => text };
}

/** Holds an answer against the model, and counts what was allowed. */
function hold(model: Reference, subject: Subject, usage: Usage, decision: Decision, counts: boolean): void {
  const now = subject.system.clock.now();
  const expected = model.allows(usage, now);
  if (decision.allowed !== expected && !(expected && subject.lost)) {
    throw new Error(
      `${JSON.stringify(usage)}: the model says ${expected ? "allowed" : "denied"}, Weir ${decision.allowed ? "allowed" : "denied"} (${JSON.stringify(decision.denials)})`,
    );
  }
  if (decision.allowed && counts) model.count(usage, now);
}

const check = (process: number, usage: Usage, mode: "consume" | "peek"): Command =>
  command(`${mode}(${process}, ${JSON.stringify(usage)})`, async (model, subject) => {
    const { system, account } = subject;
    const decision = await system.engine(process).gate.check({ account, service: "s", namespace: "Room", usage, mode }, system.clock.now());
    hold(model, subject, usage, decision, mode === "consume");
  });

/** Takes exactly what is left of the meter's lowest limit, which must pass, and one more, which must not. */
const fill = (process: number, meter: string): Command => ({
  check: (model) => model.hasLimit(meter),
  run: async (model, subject) => {
    const left = model.left(meter, subject.system.clock.now());
    await check(process, { [meter]: left }, "consume").run(model, subject);
    await check(1 - process, { [meter]: 1 }, "consume").run(model, subject);
  },
  toString: () => `fill(${process}, ${meter})`,
});

/** Sent once or more often, to either process: counted once, answered alike. */
const keyed = (key: string, usage: Usage, processes: readonly number[]): Command =>
  command(`keyed(${key}, ${JSON.stringify(usage)}, [${processes.join()}])`, async (model, subject) => {
    const { system, account } = subject;
    // A key stands for one request, and is kept for a day: both are part of its name.
    const idempotencyKey = `${key}:${Math.floor(system.clock.now() / DAY_MS)}:${JSON.stringify(usage)}`;
    for (const process of processes) {
      const decision = await system
        .engine(process)
        .gate.check({ account, service: "s", namespace: "Room", usage, idempotencyKey }, system.clock.now());
      const before = model.answered(idempotencyKey);
      if (before === undefined) {
        hold(model, subject, usage, decision, true);
        model.answer(idempotencyKey, decision.allowed);
      } else if (before !== decision.allowed) {
        throw new Error(`${idempotencyKey}: first ${before ? "allowed" : "denied"}, then ${decision.allowed ? "allowed" : "denied"}`);
      }
    }
  });

const setCap = (meter: string, period: Period, capValue: number): Command =>
  command(`setCap(${meter}, ${period}, ${capValue})`, async (model, { system, account }) => {
    await system.engine(0).limits.setCap(account, meter, { period, capValue, hardStop: true, notifyAtPercent: 80 }, system.clock.now());
    model.caps.set(`${meter}/${period}`, capValue);
  });

const removeCap = (meter: string, period: Period): Command => ({
  check: (model) => model.caps.has(`${meter}/${period}`),
  run: async (model, { system, account }) => {
    await system.engine(1).limits.removeCap(account, meter, period, system.clock.now());
    model.caps.delete(`${meter}/${period}`);
  },
  toString: () => `removeCap(${meter}, ${period})`,
});

const changePlan = (plan: "free" | "pro"): Command =>
  command(`changePlan(${plan})`, async (model, { system, account }) => {
    await system.engine(0).limits.changePlan(account, plan, "now", system.clock.now());
    model.plan = plan;
  });

const store = (process: number, object: string, change: { set: number } | { delta: number }): Command =>
  command(`store(${process}, ${object}, ${JSON.stringify(change)})`, async (model, { system, account }) => {
    const place = { account, service: "s", namespace: "Room", object };
    const decision = await system.engine(process).gate.check({ ...place, storageBytes: change }, system.clock.now());
    if (!decision.allowed) throw new Error(`No limit of the plan is near, yet ${JSON.stringify(decision.denials)}`);
    model.setSize(object, "set" in change ? change.set : model.size(object) + change.delta);
  });

const stepTo = (what: "a minute" | Period): Command =>
  command(`step over ${what}`, async (_, { system }) => {
    if (what === "a minute") system.clock.advance(60_000);
    else system.clock.set(windowsAt(system.clock.now(), CALENDAR)[what].end);
  });

const disturb = (text: string, loses: boolean, run: (system: System) => Promise<void>): Command =>
  command(text, async (_, subject) => {
    await run(subject.system);
    subject.lost ||= loses;
  });

const loseBranch = (index: number): Command =>
  command(`lose branch ${index}`, async (_, subject) => {
    if (await subject.system.loseBranch(subject.account, index)) subject.lost = true;
  });

/** Everything booked, the ledger and the report must say what the model does. */
const reconcile = (process: number): Command => command(`reconcile(${process})`, holdReport(process));

export function holdReport(process: number): (model: Reference, subject: Subject) => Promise<void> {
  return async (model, { system, account }) => {
    await system.bookAll();
    const { usage, windows } = await system.engine(process).usage(account);
    const now = system.clock.now();
    const expected = Object.fromEntries(
      PERIODS.map((period) => [period, Object.fromEntries(METERS.map((meter) => [meter, model.used(meter, period, now)]))]),
    );
    const told = Object.fromEntries(
      PERIODS.map((period) => [period, Object.fromEntries(METERS.map((meter) => [meter, usage.meters[period][meter]]))]),
    );
    deepEqual(told, expected);
    deepEqual(usage.meters.month["state_sqlite_storage_bytes"], model.stored());
    deepEqual(Date.parse(windows.day.end) - Date.parse(windows.day.start), DAY_MS);
  };
}

const meter = fc.constantFrom(...METERS);
const period = fc.constantFrom(...PERIODS);
const process = fc.nat({ max: 1 });
const quantity = fc.oneof(
  { weight: 4, arbitrary: fc.nat({ max: 9 }) },
  { weight: 2, arbitrary: fc.nat({ max: 300 }) },
  { weight: 1, arbitrary: fc.nat({ max: 4_000 }) },
);
const usage = fc.dictionary(meter, quantity, { minKeys: 1, maxKeys: METERS.length, noNullPrototype: true });
const object = fc.constantFrom("a", "b");
const change = fc.oneof(
  fc.nat({ max: 100_000 }).map((set) => ({ set })),
  fc.integer({ min: -50_000, max: 50_000 }).map((delta) => ({ delta })),
);

/** Commands in the mix of a busy account's bad day. */
export const commands = fc.commands(
  [
    fc.tuple(process, usage).map(([p, u]) => check(p, u, "consume")),
    fc.tuple(process, usage).map(([p, u]) => check(p, u, "consume")),
    fc.tuple(process, usage).map(([p, u]) => check(p, u, "peek")),
    fc.tuple(process, meter).map(([p, m]) => fill(p, m)),
    fc.tuple(process, meter).map(([p, m]) => fill(p, m)),
    fc
      .tuple(fc.constantFrom("k1", "k2", "k3"), usage, fc.array(process, { minLength: 1, maxLength: 3 }))
      .map(([k, u, ps]) => keyed(k, u, ps)),
    fc.tuple(meter, period, fc.nat({ max: 1_500 })).map(([m, p, value]) => setCap(m, p, value)),
    fc.tuple(meter, period).map(([m, p]) => removeCap(m, p)),
    fc.constantFrom("free" as const, "pro" as const).map(changePlan),
    fc.tuple(process, object, change).map(([p, o, c]) => store(p, o, c)),
    fc.constantFrom("a minute" as const, "a minute" as const, "day" as const, "month" as const).map(stepTo),
    process.map((p) => disturb(`rollUp(${p})`, false, async (system) => void (await system.engine(p).rollUp()))),
    process.map((p) => disturb(`restart(${p})`, false, (system) => system.restart(p))),
    fc.constant(disturb("flush", true, (system) => system.flush())),
    fc.integer({ min: 1, max: 3 }).map(loseBranch),
    process.map(reconcile),
    ...leaseCommands,
  ],
  { maxCommands: 40, size: "max" },
);
