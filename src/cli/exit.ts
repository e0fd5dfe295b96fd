/** Exit codes (they are part of the contract with scripts). */
export const EXIT = { ok: 0, failed: 1, usage: 2, denied: 3 } as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];
