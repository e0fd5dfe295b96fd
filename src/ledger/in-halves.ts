/** Postgres' classes 22 and 23: it is there, and does not take these data. */
const isRefusal = (error: unknown): error is Error =>
  error instanceof Error && "code" in error && typeof error.code === "string" && /^2[23]\w{3}$/.test(error.code);

/**
 * Books accounts together, or, where the ledger refuses something of them, each half by itself: what ails one account is no other's.
 * Answers why one of them was not booked, or null; rejects with whatever else went wrong.
 */
export async function inHalves(accounts: string[], book: (accounts: string[]) => Promise<void>): Promise<Error | null> {
  try {
    await book(accounts);
    return null;
  } catch (error) {
    if (!isRefusal(error)) throw error;
    if (accounts.length === 1) return error;
    const middle = Math.ceil(accounts.length / 2);
    const faults = [await inHalves(accounts.slice(0, middle), book), await inHalves(accounts.slice(middle), book)];
    return faults.find((fault) => fault !== null) ?? null;
  }
}
