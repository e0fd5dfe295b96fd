import { operationUsage } from "../../catalog/operation.ts";
import type { TraceOperation } from "../../replay/operation.ts";
import { identity, WrittenKeys } from "../../replay/written-keys.ts";
import type { Denial } from "../../client/types.ts";
import { CHECKS_MAX, sendChecks, type Check } from "./check-sender.ts";
import { ALONGSIDE, placeOf, type Run } from "./run.ts";

/** A check and what to do with its decision. */
interface Prepared {
  kind: string;
  check: Check;
  operation: TraceOperation | null;
}

/**
 * Sends operations as checks only: nothing is stored, so storage is not claimed either. What would be there is remembered,
 * so that a `get` of a key that was never written counts as the miss it is.
 */
export class ThroughChecks {
  readonly #run: Run;
  readonly written = new WrittenKeys();
  readonly #onDenial: (denial: Denial) => void;
  #sequence = 0;

  /** `onDenial` hears each reason of each denial. */
  constructor(run: Run, onDenial: (denial: Denial) => void = () => undefined) {
    this.#run = run;
    this.#onDenial = onDenial;
  }

  /** Works off operations in order. A read of a key that the same batch writes first waits for that decision. */
  async work(operations: readonly TraceOperation[]): Promise<void> {
    let batch: Prepared[] = [];
    const undecided = new Set<number>();
    const send = async (): Promise<void> => {
      const sent = batch;
      batch = [];
      undecided.clear();
      await this.#send(sent);
    };
    for (const operation of operations) {
      if (undecided.has(identity(operation)) || batch.length >= CHECKS_MAX - 1) await send();
      batch.push(...this.#prepare(operation));
      if (operation.kind !== "get") undecided.add(identity(operation));
    }
    if (batch.length > 0) await send();
  }

  #prepare(operation: TraceOperation): Prepared[] {
    const run = this.#run;
    const { service, namespace } = placeOf(run, operation);
    const usage = operationUsage(run.catalog, operation.kind, { hit: this.written.has(operation) });
    const check: Check = {
      account: run.account,
      service,
      namespace,
      object: operation.object,
      operation: operation.kind,
      usage,
      idempotencyKey: this.#nextKey(),
      ...(operation.kind === "put" ? { payloadBytes: Buffer.byteLength(operation.key) + operation.bytes } : {}),
    };
    const prepared: Prepared[] = [{ kind: operation.kind, check, operation }];
    if (operation.alongside) prepared.push({ kind: ALONGSIDE, check: alongsideCheck(run, operation, this.#nextKey()), operation: null });
    return prepared;
  }

  async #send(batch: readonly Prepared[]): Promise<void> {
    const results = await sendChecks(
      this.#run.api,
      batch.map((p) => p.check),
    );
    for (const [i, { outcome, decision }] of results.entries()) {
      const prepared = batch[i];
      if (!prepared) continue;
      this.#run.tally.record(prepared.kind, outcome);
      decision?.denials.forEach(this.#onDenial);
      if (outcome.type === "allowed" && prepared.operation) this.written.apply(prepared.operation);
    }
  }

  #nextKey(): string {
    this.#sequence += 1;
    return `${this.#run.id}-${this.#sequence}`;
  }
}

/** The check of the web request that an operation came with. */
export function alongsideCheck(run: Run, operation: TraceOperation, idempotencyKey: string): Check {
  return { account: run.account, service: placeOf(run, operation).service, usage: operation.alongside ?? {}, idempotencyKey };
}
