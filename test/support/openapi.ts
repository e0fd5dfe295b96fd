import type { Engine } from "../../src/engine.ts";
import { buildApp } from "../../src/http/app.ts";
import { SettableClock } from "../../src/kernel/clock.ts";
import type { State } from "../../src/state/state.ts";

/** The OpenAPI document as text: of routes that are registered and never called, so nothing stands behind them but what closing asks for. */
export async function openApiText(): Promise<string> {
  const app = await buildApp({
    // Routes that count what they serve say so to the engine when they are registered.
    engine: { observe: () => {} } as Partial<Engine> as Engine,
    state: { closeRooms: () => Promise.resolve() } as State,
    adminKey: "none",
    redisDurable: null,
    testClock: new SettableClock(),
    runJobs: () => Promise.resolve(),
  });
  const document = app.swagger();
  await app.close();
  return `${JSON.stringify(document, null, 2)}\n`;
}
