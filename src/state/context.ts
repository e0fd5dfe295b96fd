import type { Clock } from "../kernel/clock.ts";
import type { Admit, UsageOf } from "./admission.ts";
import type { Namespace } from "./namespace.ts";
import type { ObjectFiles } from "./object-files.ts";

/** One object. */
export interface Address {
  namespace: Namespace;
  object: string;
}

/** What every operation on objects works with. */
export interface StateContext {
  files: ObjectFiles;
  admit: Admit;
  usageOf: UsageOf;
  clock: Clock;
  /** Told of what went wrong after the answer was decided, for the log. */
  onTrouble: (error: unknown) => void;
}
