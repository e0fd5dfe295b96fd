import type { Catalog } from "../../catalog/catalog.ts";
import type { TraceOperation } from "../../replay/operation.ts";
import type { Tally } from "../../replay/tally.ts";
import type { Api } from "../api.ts";
import { CommandFailure } from "../failure.ts";

/** What the parts of one replay share. */
export interface Run {
  api: Api;
  account: string;
  /** Where operations go that name no service or namespace themselves. */
  service: string;
  namespace: string;
  /** `--service` was given: it holds for every line, whatever the trace says. */
  serviceForced: boolean;
  namespaceForced: boolean;
  catalog: Catalog;
  tally: Tally;
  /** Starts every idempotency key: no other replay's keys begin with it. */
  id: string;
  /** The services that operations went to so far. */
  services: Set<string>;
}

/** Services that one replay may name: each is asked about when the replay verifies itself. */
const SERVICES_MAX = 1_000;

/** The service and namespace that an operation is booked on. */
export function placeOf(run: Run, operation: TraceOperation): { service: string; namespace: string } {
  const service = (run.serviceForced ? null : operation.service) ?? run.service;
  run.services.add(service);
  if (run.services.size > SERVICES_MAX) {
    throw new CommandFailure(`The trace names more than ${SERVICES_MAX} services.`, { remedy: "Put them on one with --service <name>." });
  }
  return { service, namespace: (run.namespaceForced ? null : operation.namespace) ?? run.namespace };
}

/** What a web request beside a State operation is called in the tables. */
export const ALONGSIDE = "worker request";

/** Names the same lane for everything that happens to one object. */
export function laneOf(run: Run, operation: TraceOperation): string {
  const { service, namespace } = placeOf(run, operation);
  return `${service}\0${namespace}\0${operation.object}`;
}
