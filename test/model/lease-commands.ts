import { deepEqual } from "node:assert/strict";
import * as fc from "fast-check";
import type { LeaseAnswer } from "../../src/gate/lease-answer.ts";
import { HOUR_MS } from "../../src/kernel/window.ts";
import { METERS, type Lease, type Reference } from "./reference.ts";
import type { Command, Subject } from "./subject.ts";

type Usage = Readonly<Record<string, number>>;

/** Holds what was lent against the model: all that is left, where nothing was lost; never more. */
function holdGrant(model: Reference, { system, lost }: Subject, lease: Lease, asked: Usage, answer: LeaseAnswer): void {
  for (const [meter, quantity] of Object.entries(asked)) {
    const given = (answer.granted[meter] ?? 0) - (lease.granted[meter] ?? 0);
    const expected = Math.min(quantity, model.left(meter, system.clock.now()));
    if (given > expected || (given < expected && !lost)) {
      throw new Error(`${meter}: ${quantity} asked for, the model lends ${expected}, Weir ${given} (${JSON.stringify(answer)})`);
    }
    lease.granted[meter] = (lease.granted[meter] ?? 0) + given;
  }
}

const lend = (process: number, holder: string, asked: Usage): Command => ({
  check: (model) => !model.leases.has(holder),
  run: async (model, subject) => {
    const { system, account } = subject;
    const now = system.clock.now();
    const answer = await system.engine(process).gate.leases.grant({ account, meters: asked, holder }, now);
    const lease: Lease = { id: answer.leaseId, at: now, seq: 0, granted: {}, spent: {}, settled: {}, closed: false };
    holdGrant(model, subject, lease, asked, answer);
    model.leases.set(holder, lease);
    model.allLeases.push(lease);
  },
  toString: () => `lend(${process}, ${holder}, ${JSON.stringify(asked)})`,
});

/** In the holder's memory: nobody else hears of it. */
const spend = (holder: string, percent: number): Command => ({
  check: (model) => model.leases.has(holder),
  run: async (model) => {
    const lease = model.leases.get(holder);
    if (!lease) return;
    for (const [meter, granted] of Object.entries(lease.granted)) {
      const spent = lease.spent[meter] ?? 0;
      lease.spent[meter] = spent + Math.floor(((granted - spent) * percent) / 100);
    }
  },
  toString: () => `spend(${holder}, ${percent} %)`,
});

const settle = (process: number, holder: string, renew: Usage | null, close: boolean): Command => ({
  check: (model) => model.leases.has(holder),
  run: async (model, subject) => {
    const lease = model.leases.get(holder);
    if (!lease) return;
    const { leases } = subject.system.engine(process).gate;
    const now = subject.system.clock.now();
    lease.seq += 1;
    const body = { seq: lease.seq, used: lease.spent, close, ...(renew && !close ? { renew } : {}) };
    const answer = await leases.settle(lease.id, body, now);
    lease.settled = { ...lease.spent };
    deepEqual(answer.used, Object.fromEntries(Object.entries(lease.spent).filter(([, n]) => n > 0)));
    const renewable = Math.floor(now / HOUR_MS) === Math.floor(lease.at / HOUR_MS);
    if (close) {
      lease.closed = true;
      model.leases.delete(holder);
    } else if (renew && !answer.ended) {
      if (!renewable) throw new Error("A lease was renewed after its hour");
      holdGrant(model, subject, lease, renew, answer);
    } else {
      for (const [meter, granted] of Object.entries(lease.granted)) deepEqual(answer.granted[meter] ?? 0, granted);
    }
    // Said again, louder: it was seen.
    const more = Object.fromEntries(METERS.map((meter) => [meter, (lease.spent[meter] ?? 0) + 7]));
    deepEqual((await leases.settle(lease.id, { ...body, used: more }, now)).used, answer.used);
  },
  toString: () => `settle(${process}, ${holder}, ${JSON.stringify(renew)}, ${close ? "close" : "keep"})`,
});

/** What it had not settled is known to nobody; what it had not spent stays lent until its windows end. */
const kill = (holder: string): Command => ({
  check: (model) => model.leases.has(holder),
  run: async (model) => void model.leases.delete(holder),
  toString: () => `kill(${holder})`,
});

const process = fc.nat({ max: 1 });
const holder = fc.constantFrom("h1", "h2", "h3");
const asked = fc.dictionary(fc.constantFrom(...METERS), fc.oneof(fc.nat({ max: 60 }), fc.nat({ max: 2_000 })), {
  minKeys: 1,
  maxKeys: METERS.length,
  noNullPrototype: true,
});

/** Holders that come, spend, settle and die. */
export const leaseCommands: fc.Arbitrary<Command>[] = [
  fc.tuple(process, holder, asked).map(([p, h, a]) => lend(p, h, a)),
  fc.tuple(process, holder, asked).map(([p, h, a]) => lend(p, h, a)),
  fc.tuple(holder, fc.constantFrom(30, 100)).map(([h, percent]) => spend(h, percent)),
  fc.tuple(process, holder, fc.option(asked), fc.nat({ max: 3 })).map(([p, h, r, n]) => settle(p, h, r, n === 0)),
  fc.tuple(process, holder, fc.option(asked), fc.nat({ max: 3 })).map(([p, h, r, n]) => settle(p, h, r, n === 0)),
  holder.map(kill),
];
