import type * as fc from "fast-check";
import type { Reference } from "./reference.ts";
import type { System } from "./system.ts";

/** What commands act on: the real system, with the account this sequence has to itself. */
export interface Subject {
  system: System;
  account: string;
  /** Redis has lost the account at least once: budget may be stranded, so a denial may come early; an allow never. */
  lost: boolean;
}

export type Command = fc.AsyncCommand<Reference, Subject>;
