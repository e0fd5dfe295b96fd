import { validationFailed } from "../kernel/errors.ts";
import { isQuantity, QUANTITY_MAX } from "../kernel/quantity.ts";
import type { Catalog, Fact, UsageRule } from "./catalog.ts";

/**
 * What the data plane knows of a call. A fact left out counts as 1 (or as a hit): the caller that cannot tell pays for one.
 * `…Before` is the running total before this call, so that 20 messages sent one by one count what 20 sent at once do.
 */
export interface OperationFacts {
  /** Rows read or written. */
  rows?: number;
  /** The key or row was there. */
  hit?: boolean;
  messages?: number;
  messagesBefore?: number;
  /** Wall-clock milliseconds in memory. */
  wallMs?: number;
  wallMsBefore?: number;
}

/**
 * What `operation` counts, meter by meter; meters that count nothing are left out. A fraction counts from its start: the first of
 * 20 WebSocket messages is the request, the next 19 are free. Throws `validation_failed` for an operation the catalogue does not have.
 */
export function operationUsage(catalog: Catalog, operation: string, facts: OperationFacts = {}): Record<string, number> {
  const entry = Object.hasOwn(catalog.operations, operation) ? catalog.operations[operation] : undefined;
  if (!entry) {
    throw validationFailed([{ path: "operation", message: `must be one of ${Object.keys(catalog.operations).join(", ")}` }]);
  }
  const usage: Record<string, number> = {};
  for (const [meter, rule] of Object.entries(entry.usage)) {
    const quantity = quantityOf(rule, facts);
    if (quantity > 0) usage[meter] = quantity;
  }
  return usage;
}

function quantityOf(rule: UsageRule, facts: OperationFacts): number {
  if (typeof rule === "number") return rule;
  const after = atFact(rule.fact, facts);
  const before = beforeFact(rule.fact, facts);
  const scale = { multiplyBy: rule.multiplyBy ?? 1, divideBy: rule.divideBy ?? 1 };
  return Math.max(rule.atLeast ?? 0, scaledUp(checked(rule.fact, before + after), scale) - scaledUp(before, scale));
}

function atFact(fact: Fact, facts: OperationFacts): number {
  if (fact === "hit") return facts.hit === false ? 0 : 1;
  return checked(fact, facts[fact] ?? 1);
}

function beforeFact(fact: Fact, facts: OperationFacts): number {
  if (fact === "messages") return checked("messagesBefore", facts.messagesBefore ?? 0);
  if (fact === "wallMs") return checked("wallMsBefore", facts.wallMsBefore ?? 0);
  return 0;
}

/** ⌈n × multiplyBy ÷ divideBy⌉ without a float: 7 days × 128 fits 2^53, a hostile fact does not. */
function scaledUp(n: number, { multiplyBy, divideBy }: { multiplyBy: number; divideBy: number }): number {
  if (multiplyBy === 1 && divideBy === 1) return n;
  const divisor = BigInt(divideBy);
  const scaled = (BigInt(n) * BigInt(multiplyBy) + divisor - 1n) / divisor;
  return checked("the quantity", Number(scaled));
}

function checked(name: string, n: number): number {
  if (!isQuantity(n)) throw validationFailed([{ path: name, message: `must be an integer from 0 to ${QUANTITY_MAX}` }]);
  return n;
}
