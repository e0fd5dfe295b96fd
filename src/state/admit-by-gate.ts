import { deniedError } from "../gate/denied.ts";
import type { Gate } from "../gate/gate.ts";
import type { Admit, Holds } from "./admission.ts";
import { noteCounted } from "./tally.ts";

/** Admission by the gate: allowed and counted, or the error that its denial stands for. */
export const admitBy =
  (gate: Gate): Admit =>
  async (request, now) => {
    const decision = await gate.check(request, now);
    if (!decision.allowed) throw deniedError(decision, now);
    if (request.mode !== "peek") noteCounted(request.usage);
  };

/** Holds by the gate: a reservation each. */
export const holdsBy = (gate: Gate): Holds => ({
  hold: async (request, ttlSeconds, now) => {
    const { allowed, reservation, ...decision } = await gate.check({ ...request, mode: "reserve", ttlSeconds }, now);
    if (!allowed || !reservation) throw deniedError({ allowed, reservation, ...decision }, now);
    return reservation.id;
  },
  settle: async (hold, usage, now) => {
    await gate.settle(hold, { usage }, now);
  },
});
