export { AccountHandle } from "./account-handle.ts";
export type { ClientClock } from "./clock.ts";
export { WeirDenied, WeirRefused, WeirUnavailable } from "./errors.ts";
export type { Journal, JournalEntry } from "./journal.ts";
export { createMeter, Meter } from "./meter.ts";
export type { MeterOptions } from "./meter-options.ts";
export type { Metrics } from "./metrics.ts";
export { ALLOWED, type CheckRequest, type Decision, type Denial, type MaybePromise, type MeterState, type Usage } from "./types.ts";
export type { Vector } from "./vector.ts";
