/** One thing looked at: what was found and, where it is not well, what to do. */
export interface Finding {
  check: string;
  /** `warning`: it works, at a price. `failed`: it does not, or an invariant is violated. */
  state: "ok" | "warning" | "failed";
  found: string;
  remedy: string | null;
}

export const ok = (check: string, found: string): Finding => ({ check, state: "ok", found, remedy: null });
export const warning = (check: string, found: string, remedy: string): Finding => ({ check, state: "warning", found, remedy });
export const failed = (check: string, found: string, remedy: string): Finding => ({ check, state: "failed", found, remedy });
