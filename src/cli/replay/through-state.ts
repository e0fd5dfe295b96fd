import { operationUsage } from "../../catalog/operation.ts";
import type { OperationKind, TraceOperation } from "../../replay/operation.ts";
import { reasonOf, type Outcome } from "../../replay/tally.ts";
import { asProblem, type Answer, type CallOptions, type Method } from "../api.ts";
import { CommandFailure, failureOf } from "../failure.ts";
import { namespacesPath } from "../state/namespaces.ts";
import { valuePath } from "../state/values.ts";
import { sendChecks } from "./check-sender.ts";
import { exchangeWithRetry } from "./retry.ts";
import { ALONGSIDE, placeOf, type Run } from "./run.ts";
import { alongsideCheck } from "./through-checks.ts";

const METHODS: Readonly<Record<OperationKind, Method>> = { get: "GET", put: "PUT", "delete-value": "DELETE" };

/** The longest value that is really sent. A longer one is refused all the same: the ceiling is 2 MiB. */
const VALUE_BYTES_MAX = 4 * 1024 * 1024;

/** Namespaces that one replay creates, at most. */
const NAMESPACES_MAX = 10_000;

/** Sends operations as State calls: values are really written and read. */
export class ThroughState {
  readonly #run: Run;
  /** Namespaces that are there, or being created: what came of it, `null` when they may be used. */
  readonly #namespaces = new Map<string, Promise<Outcome | null>>();
  // Values are slices of one string, so that a trace of 64 KiB blocks costs no memory of its own.
  #filler = "";
  #sequence = 0;

  constructor(run: Run) {
    this.#run = run;
  }

  /** Works off operations in order, one call after the other; web requests beside them go as one batch of checks. */
  async work(operations: readonly TraceOperation[]): Promise<void> {
    const { tally } = this.#run;
    for (const operation of operations) tally.record(operation.kind, await this.#one(operation));
    const beside = operations.filter((operation) => operation.alongside !== null);
    if (beside.length === 0) return;
    const checks = beside.map((operation) => alongsideCheck(this.#run, operation, this.#nextKey()));
    for (const { outcome } of await sendChecks(this.#run.api, checks)) tally.record(ALONGSIDE, outcome);
  }

  async #one(operation: TraceOperation): Promise<Outcome> {
    const { service, namespace } = placeOf(this.#run, operation);
    const obstacle = await this.#namespace(service, namespace);
    if (obstacle) return obstacle;
    const options: CallOptions = operation.kind === "put" ? { body: { value: this.#value(operation.bytes), encoding: "text" } } : {};
    const route = valuePath(service, namespace, operation.object, operation.key);
    const answer = await exchangeWithRetry(this.#run.api, METHODS[operation.kind], route, options, "only if never sent");
    return outcomeOf(operation.kind, answer, (hit) => operationUsage(this.#run.catalog, operation.kind, { hit }));
  }

  /** Creates a namespace that was not met before. One that could not be created stops its operation, not the replay. */
  #namespace(service: string, name: string): Promise<Outcome | null> {
    const id = `${service}\0${name}`;
    const known = this.#namespaces.get(id);
    if (known) return known;
    if (this.#namespaces.size >= NAMESPACES_MAX) throw new CommandFailure(`The trace names more than ${NAMESPACES_MAX} namespaces.`);
    const creating = this.#create(service, name).then((obstacle) => {
      if (obstacle) this.#namespaces.delete(id);
      return obstacle;
    });
    this.#namespaces.set(id, creating);
    return creating;
  }

  async #create(service: string, name: string): Promise<Outcome | null> {
    const { api, catalog, tally } = this.#run;
    const kind = "namespace-create";
    const answer = await exchangeWithRetry(api, "POST", namespacesPath(service), { body: { name } }, "only if never sent");
    const outcome = outcomeOf(kind, answer, () => operationUsage(catalog, kind));
    // A namespace of that name is there already: as good as made, and a conflict counts nothing.
    if (answer?.status === 409) return null;
    tally.record(kind, outcome);
    if (outcome.type === "allowed") return null;
    return outcome.type === "unknown" ? { type: "refused", reason: "namespace not created" } : outcome;
  }

  #value(bytes: number): string {
    const length = Math.min(bytes, VALUE_BYTES_MAX);
    if (this.#filler.length < length) this.#filler = "0123456789abcdef".repeat(Math.ceil(length / 16));
    return this.#filler.slice(0, length);
  }

  #nextKey(): string {
    this.#sequence += 1;
    return `${this.#run.id}-${this.#sequence}`;
  }
}

/** What an answer means. A 404 on a value is a miss: it was allowed, and counted as one. */
function outcomeOf(kind: string, answer: Answer | null, usage: (hit: boolean) => Record<string, number>): Outcome {
  // Without an answer it may have been a hit or a miss; a hit counts the most.
  if (answer === null) return { type: "unknown", usage: usage(true) };
  if (answer.status < 300) return { type: "allowed", usage: usage(!isMiss(answer.body)) };
  const problem = asProblem(answer);
  if (answer.status === 404 && (kind === "get" || kind === "delete-value")) return { type: "allowed", usage: usage(false) };
  if (problem.code === "limit_exceeded" || problem.code === "payload_too_large") {
    const reasons = (problem.denials ?? []).map(reasonOf);
    return { type: "denied", reasons: reasons.length > 0 ? reasons : [problem.code] };
  }
  // The account or the address itself is wrong: every operation would end like this one.
  if (answer.status === 404) throw failureOf(problem);
  return { type: "refused", reason: problem.code };
}

/** A delete of an absent key answers `{"deleted":false}`. */
const isMiss = (body: unknown): boolean => typeof body === "object" && body !== null && "deleted" in body && body.deleted === false;
