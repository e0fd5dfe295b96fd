import type { Gate } from "../gate/gate.ts";
import { deniedError } from "../gate/denied.ts";
import type { Admit } from "./admission.ts";

/** Admission by the gate: allowed and counted, or the error that its denial stands for. */
export const admitBy =
  (gate: Gate): Admit =>
  async (request, now) => {
    const decision = await gate.check(request, now);
    if (!decision.allowed) throw deniedError(decision, now);
  };
