import type { Clock } from "../kernel/clock.ts";
import type { Admit, Holds, UsageOf } from "./admission.ts";
import type { Namespace } from "./namespace.ts";
import type { ObjectFiles } from "./object-files.ts";

/** One object. */
export interface Address {
  namespace: Namespace;
  object: string;
}

/** A ceiling of the account's plan, by the catalogue's name for it; null where the plan sets none. */
export type CeilingOf = (account: string, name: string) => Promise<number | null>;

/** What every operation on objects works with. */
export interface StateContext {
  files: ObjectFiles;
  admit: Admit;
  holds: Holds;
  usageOf: UsageOf;
  clock: Clock;
  /** Told of what went wrong after the answer was decided, for the log. */
  onTrouble: (error: unknown) => void;
}
