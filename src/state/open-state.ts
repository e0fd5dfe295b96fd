import { findAccount } from "../accounts/account-store.ts";
import { findPlan } from "../catalog/catalog.ts";
import { operationUsage } from "../catalog/operation.ts";
import type { Engine } from "../engine.ts";
import { notFound } from "../kernel/errors.ts";
import { admitBy } from "./admit-by-gate.ts";
import type { ClassLimitOf } from "./namespaces.ts";
import { State } from "./state.ts";

/** Opens the data plane in `folder` on the engine's gate, catalogue and Postgres. Close it before the engine. */
export async function openState(engine: Engine, folder: string, onTrouble: (error: unknown) => void): Promise<State> {
  const state = new State({
    folder,
    db: engine.db,
    clock: engine.clock,
    admit: admitBy(engine.gate),
    usageOf: (operation, facts) => operationUsage(engine.catalog, operation, facts),
    classLimitOf: classLimitBy(engine),
    onTrouble,
  });
  await state.open();
  return state;
}

const classLimitBy =
  (engine: Engine): ClassLimitOf =>
  async (name) => {
    const account = await findAccount(engine.db, name, engine.clock.now());
    if (!account) throw notFound(`Account ${name}`);
    return findPlan(engine.catalog, account.plan)?.ceilings["stateClasses"] ?? null;
  };
