import { notFound, validationFailed, WeirError } from "../kernel/errors.ts";
import type { Db } from "../stores/database.ts";
import { GRANTS_IN_USE_MAX, newGrant, type CreditBurn, type CreditGrant, type GrantRequest } from "./credit-grant.ts";
import { creditBalances, findGrant, grantCredits, listBurns, listGrants, voidGrant, type CreditBalance } from "./credit-store.ts";

/** Entries of a grant's ledger that are shown: more than eight years of months. */
const BURNS_SHOWN_MAX = 100;

/** Prepaid credits of accounts: granted and voided by the operator, seen by whoever sees the account. */
export class Credits {
  readonly #db: Db;
  readonly #tell: (account: string) => Promise<void>;

  /** `tell` makes the gate hear of what has changed, before the caller gets its answer. */
  constructor(db: Db, tell: (account: string) => Promise<void>) {
    this.#db = db;
    this.#tell = tell;
  }

  /**
   * Grants credits. The same `idempotencyKey` gives the same grant again. Throws `not_found` (account), `validation_failed`,
   * `idempotency_mismatch`, `conflict` where too many grants are in use, and `unavailable`: repeat the call then, its key keeps it from
   * granting twice.
   */
  async grant(account: string, request: GrantRequest, made: { by: string; now: number }): Promise<CreditGrant> {
    const { effectiveAt, expiresAt } = newGrant(request, made.now);
    if (effectiveAt < 0) throw validationFailed([{ path: "effectiveAt", message: "must not be before 1970" }]);
    if (expiresAt !== null && expiresAt <= effectiveAt)
      throw validationFailed([{ path: "expiresAt", message: "must be later than effectiveAt" }]);
    const granted = await grantCredits(this.#db, account, request, made);
    if (!granted) throw notFound(`Account ${account}`);
    if (granted.outcome === "too_many")
      throw new WeirError(
        "conflict",
        `At most ${GRANTS_IN_USE_MAX} grants of an account are in use at once: void one, or wait for one to end.`,
      );
    if (!granted.sameRequest)
      throw new WeirError("idempotency_mismatch", "This idempotencyKey made another grant; use a new key for a new one.");
    await this.#tell(account);
    return this.find(account, granted.id);
  }

  /** At most `limit` grants made before the one of `before` (its seq; null: from the newest), newest first. */
  list(account: string, before: number | null, limit: number): Promise<CreditGrant[]> {
    return listGrants(this.#db, account, before, limit);
  }

  /** What the account could burn now, by currency. */
  balances(account: string, now: number): Promise<CreditBalance[]> {
    return creditBalances(this.#db, account, now);
  }

  /** Throws `not_found`. */
  async find(account: string, id: string): Promise<CreditGrant> {
    const found = await findGrant(this.#db, account, id);
    if (!found) throw notFound(`Grant ${id}`);
    return found;
  }

  /** A grant's newest entries, newest first. */
  burns(account: string, id: string): Promise<CreditBurn[]> {
    return listBurns(this.#db, account, id, BURNS_SHOWN_MAX);
  }

  /** Takes what is left of a grant back; what is burned stays burned. One that is void already stays as it is. Throws `not_found`. */
  async void(account: string, id: string, now: number): Promise<CreditGrant> {
    if (!(await voidGrant(this.#db, account, id, now))) throw notFound(`Grant ${id}`);
    await this.#tell(account);
    return this.find(account, id);
  }
}
