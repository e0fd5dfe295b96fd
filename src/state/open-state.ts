import { findAccount } from "../accounts/account-store.ts";
import { findPlan } from "../catalog/catalog.ts";
import { operationUsage } from "../catalog/operation.ts";
import type { Profile } from "../config.ts";
import type { Engine } from "../engine.ts";
import { notFound } from "../kernel/errors.ts";
import { admitBy, holdsBy } from "./admit-by-gate.ts";
import type { CeilingOf } from "./context.ts";
import { State } from "./state.ts";

/** Opens the data plane in `folder` on the engine's gate, catalogue, Postgres and egress. Close it before the engine. */
export async function openState(
  engine: Engine,
  folder: string,
  onTrouble: (error: unknown) => void,
  profile: Profile = "weir",
): Promise<State> {
  const state = new State({
    folder,
    db: engine.db,
    walled: engine.walled,
    clock: engine.clock,
    admit: admitBy(engine.gate),
    holds: holdsBy(engine.gate),
    usageOf: (operation, facts) => operationUsage(engine.catalog, operation, facts),
    ceilingOf: ceilingBy(engine),
    egress: engine.outbox.egress,
    profile,
    onTrouble,
  });
  await state.open();
  engine.limits.onChange((account) => state.alarms.wakeDenied(account).catch(onTrouble));
  return state;
}

const ceilingBy =
  (engine: Engine): CeilingOf =>
  async (name, ceiling) => {
    const account = await findAccount(engine.db, name, engine.clock.now());
    if (!account) throw notFound(`Account ${name}`);
    return findPlan(engine.catalog, account.plan)?.ceilings[ceiling] ?? null;
  };
