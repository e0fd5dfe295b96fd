import { createEngine, type Engine } from "../../src/engine.ts";
import type { EngineOptions } from "../../src/engine/options.ts";
import type { CheckRequest } from "../../src/gate/check-request.ts";
import type { Decision } from "../../src/gate/decision.ts";
import { ManualClock } from "../../src/kernel/clock.ts";
import { createTestStack, type TestStack } from "./stack.ts";

/** Noon of a Saturday, ten days before the month ends. */
export const NOON = "2026-11-21T12:00:00.000Z";

/** An engine on stores of its own, with a clock that moves when it is told. */
export interface TestEngine {
  engine: Engine;
  clock: ManualClock;
  stack: TestStack;
  /** What went wrong in the background, so far. */
  troubles: unknown[];
  onTrouble(this: void, error: unknown): void;
  newAccount(plan?: string): Promise<string>;
  check(request: CheckRequest): Promise<Decision>;
  cap(account: string, meter: string, period: "day" | "month", capValue: number): Promise<void>;
  /** Another process' engine on the same stores. */
  another(): Promise<Engine>;
  stop(): Promise<void>;
}

export async function openTestEngine(
  options: Pick<EngineOptions, "outbox" | "invoiceGraceHours" | "retention" | "hotAccounts" | "payments"> = {},
): Promise<TestEngine> {
  const stack = await createTestStack();
  const clock = new ManualClock(NOON);
  const troubles: unknown[] = [];
  const onTrouble = (error: unknown): void => {
    troubles.push(error);
    process.stderr.write(`${String(error)}\n`);
  };
  const open = (): Promise<Engine> =>
    createEngine({
      databaseUrl: stack.databaseUrl,
      redisUrl: stack.redisUrl,
      redisPrefix: stack.keyPrefix,
      clock,
      // Test files run side by side on two cores: what is tested here is what is decided, not how soon.
      redisTimeoutMs: 5_000,
      ...(process.env["WEIR_TEST_HOT"] === undefined ? {} : { hotAccounts: everyAccount(Number(process.env["WEIR_TEST_HOT"])) }),
      ...options,
      onTrouble,
    });
  const engine = await open();
  const others: Engine[] = [];
  let accounts = 0;
  return {
    engine,
    clock,
    stack,
    troubles,
    onTrouble,
    newAccount: async (plan = "pro") => {
      const account = `acct_${++accounts}`;
      await engine.limits.putAccount(account, { plan }, clock.now());
      return account;
    },
    check: (request) => engine.gate.check(request, clock.now()),
    cap: (account, meter, period, capValue) =>
      engine.limits.setCap(account, meter, { period, capValue, hardStop: true, notifyAtPercent: 80 }, clock.now()),
    another: async () => {
      const other = await open();
      others.push(other);
      return other;
    },
    stop: async () => {
      await Promise.all([engine, ...others].filter((e) => !e.closed).map((e) => e.close()));
      await stack.stop();
    },
  };
}

/** Every account is spread over so many slots, as far as it has been met. */
function everyAccount(slots: number): ReadonlyMap<string, number> {
  return new (class extends Map<string, number> {
    override has(account: string): boolean {
      this.set(account, slots);
      return true;
    }
    override get(account: string): number {
      this.set(account, slots);
      return slots;
    }
  })();
}
