import { operationUsage } from "../../../src/catalog/operation.ts";
import { defaultCatalog } from "../../../src/catalog/parse.ts";
import { ManualClock } from "../../../src/kernel/clock.ts";
import type { AdmissionRequest, Holds, UsageOf } from "../../../src/state/admission.ts";
import type { StateContext } from "../../../src/state/context.ts";
import type { Namespace } from "../../../src/state/namespace.ts";
import { ObjectFiles } from "../../../src/state/object-files.ts";

const catalog = defaultCatalog();

/** What the shipped catalogue counts. */
export const defaultUsage: UsageOf = (operation, facts) => operationUsage(catalog, operation, facts);

/** Decides one request: returns to allow, throws to deny. */
export type Decide = (request: AdmissionRequest) => void | Promise<void>;

/** For tests in which no time is spent. */
export const noHolds: Holds = {
  hold: () => Promise.resolve("none"),
  settle: () => Promise.resolve(),
};

/** A data plane on `folder` whose gate is `decide`, with all that it was asked. */
export function objectsOn(folder: string, decide: Decide = () => {}) {
  const asked: AdmissionRequest[] = [];
  const troubles: unknown[] = [];
  const clock = new ManualClock("2026-11-21T12:00:00.000Z");
  const context: StateContext = {
    files: new ObjectFiles(folder),
    clock,
    holds: noHolds,
    usageOf: defaultUsage,
    onTrouble: (error) => troubles.push(error),
    admit: async (request) => {
      asked.push(request);
      await decide(request);
    },
  };
  return { context, clock, asked, troubles };
}

export const room: Namespace = { account: "acct_1", number: 1, service: "service_1", name: "Room", createdAt: 1_795_262_400_000 };
