import { spendAt, type AccountState } from "./account-state.ts";
import { spend, type Arena } from "./arena.ts";
import { CLOCK_EVERY, type Decider } from "./decider.ts";
import { WeirDenied } from "./errors.ts";
import type { Pulse } from "./heart.ts";
import { ALLOWED, type Decision, type MaybePromise } from "./types.ts";
import type { Vector } from "./vector.ts";

/** One account in one service and namespace, looked up once: for the hottest loops. */
export class AccountHandle {
  readonly #arena: Arena;
  readonly #row: number;
  readonly #pulse: Pulse;
  /** Null in the account's first place, which keeps no count of its own. */
  readonly #used: number[] | null;
  readonly #everyCheck: boolean;
  readonly #decider: Decider;
  readonly #state: AccountState;
  readonly #place: number;

  constructor(decider: Decider, state: AccountState, place: number) {
    this.#decider = decider;
    this.#state = state;
    this.#place = place;
    this.#arena = state.arena;
    this.#row = state.row;
    this.#pulse = decider.pulse;
    this.#used = state.usedAt(place);
    this.#everyCheck = decider.journaled;
    state.pinned = true;
  }

  get account(): string {
    return this.#state.id;
  }

  /** Decides in memory where a lease covers it (the answer is `ALLOWED` then, and no promise), else by one request. */
  check(vector: Vector): MaybePromise<Decision> {
    const { cells, stride } = this.#arena;
    const from = this.#row * stride;
    const pulse = this.#pulse;
    const { offsets, amounts } = vector;
    if ((cells[from] as number) > pulse.now && spend(cells, from, offsets, amounts, offsets.length)) {
      if (this.#used !== null) spendAt(this.#used, offsets, amounts, offsets.length);
      if ((++pulse.checks & CLOCK_EVERY) === 0 || this.#everyCheck) this.#decider.afterSpend(this.#state);
      return ALLOWED;
    }
    if (this.#decider.openReserve(this.#state)) return this.check(vector);
    return this.#decider.decide(this.#state, this.#place, vector);
  }

  /** The same for those who would rather not look at answers: returns, or throws `WeirDenied`. */
  consume(vector: Vector): MaybePromise<void> {
    const decision = this.check(vector);
    if (decision === ALLOWED) return undefined;
    return decision instanceof Promise ? decision.then(requireAllowed) : requireAllowed(decision);
  }

  /** Takes a lease for operations like this one, so that the first of them is decided in memory. Resolves also where none is to be had. */
  warm(vector: Vector): Promise<void> {
    return this.#decider.warm(this.#state, vector);
  }
}

function requireAllowed(decision: Decision): void {
  if (!decision.allowed) throw new WeirDenied(decision);
}
