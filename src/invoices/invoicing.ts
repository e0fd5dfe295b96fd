import { onOwnBehalf } from "../kernel/caller.ts";
import { notFound, WeirError } from "../kernel/errors.ts";
import { HOUR_MS } from "../kernel/window.ts";
import { closePeriods, finalize, type CloseReport } from "./close.ts";
import { compose } from "./compose.ts";
import type { CreditNote, CreditRequest } from "./credit-note.ts";
import { creditInvoice, listCreditNotes } from "./credit-note-store.ts";
import { explainLine, type ExplainedLine } from "./explain.ts";
import type { BillingStores } from "./gather.ts";
import { invoiceId, type Invoice } from "./invoice.ts";
import { findInvoice, listInvoices, markPaid, markVoid } from "./invoice-store.ts";
import { draftPeriods } from "./period-store.ts";
import { refreshDraftOf } from "./refresh-drafts.ts";
import { upcomingInputs } from "./upcoming.ts";
import { watchCredits } from "./watch-credits.ts";
import { simulate, type SimulatedInvoice, type Simulation } from "./simulate.ts";

export interface InvoicingOptions {
  /** How long after a month's end its invoice stays a draft, for usage that comes late; 24 where left out. */
  graceHours: number | undefined;
  /** Books what is used and not booked yet: of one account, or of all (null). */
  book: (account: string | null) => Promise<unknown>;
}

const GRACE_HOURS_DEFAULT = 24;
/** Credit notes of one invoice that are listed. */
const CREDIT_NOTES_MAX = 1_000;

/**
 * Invoices: made from what is booked, shown, finalized, and marked by whoever collects the money. `account` and `seenBy` say whose invoices
 * the caller may see, null for everybody's: any other does not exist for it.
 */
export class Invoicing {
  /** How long after its month's end a draft is finalized. */
  readonly graceMs: number;
  readonly #stores: BillingStores;
  readonly #book: InvoicingOptions["book"];

  constructor(stores: BillingStores, { graceHours = GRACE_HOURS_DEFAULT, book }: InvoicingOptions) {
    this.#stores = stores;
    this.graceMs = graceHours * HOUR_MS;
    this.#book = book;
  }

  /** Closes every month that has ended and finalizes what is due. Any process, any number of times. */
  async run(now: number): Promise<CloseReport> {
    await this.#book(null);
    return closePeriods(this.#stores, this.graceMs, now);
  }

  list(account: string, before: number | null, limit: number): Promise<Invoice[]> {
    return listInvoices(this.#stores.db, account, before, limit);
  }

  /** The invoice, as far as `account` may see it; a draft as it stands now. Throws `not_found`. */
  async find(id: string, account: string | null, now: number): Promise<Invoice> {
    const found = await this.#require(id, account);
    // Whoever asks sees it as it stands; that it is written down again is Weir's own doing.
    if (found.state !== "draft" || !(await onOwnBehalf(() => refreshDraftOf(this.#stores, id, now)))) return found;
    return this.#require(id, account);
  }

  /**
   * The invoice of the running month as it would be if nothing more were used and levels stayed as they are, from everything answered
   * so far. At the month's last instant it is the invoice. Throws `not_found` for an account that does not exist.
   */
  async upcoming(account: string, now: number): Promise<Invoice> {
    await this.#book(account);
    const input = (await upcomingInputs(this.#stores, [account], now)).get(account);
    if (!input || input instanceof Error) throw input ?? notFound(`Account ${account}`);
    const { period } = input;
    return { ...NOT_YET, ...(compose(input) ?? NOTHING), id: invoiceId(account, period.end), account, period, draftedAt: period.end };
  }

  /** Tells accounts whose prepaid credits run low or are exhausted (watch-credits.ts). Any process, any number of times. */
  watchCredits(now: number): Promise<number> {
    return watchCredits(this.#stores, now);
  }

  /** Recorded usage under another plan (simulate.ts), from everything answered so far. Throws `not_found`, `validation_failed`. */
  async simulate(asked: Simulation, now: number): Promise<SimulatedInvoice> {
    await this.#book(asked.account);
    return simulate(this.#stores, asked, now);
  }

  /** Finalizes a draft before its grace is over. One that is final already stays as it is. Throws `not_found`, `conflict`. */
  async finalize(id: string, seenBy: string | null, now: number): Promise<Invoice> {
    const { account } = await this.#require(id, seenBy);
    await this.#book(account);
    const draft = await draftPeriods(this.#stores.db, id);
    if (!draft) return this.#require(id, null);
    const parked = new Set<string>();
    await finalize(this.#stores, [draft], now, parked);
    if (parked.size > 0) throw new WeirError("conflict", "The account's numbers do not reconcile; it is parked (see weir doctor).");
    const after = await this.#require(id, null);
    if (after.state === "draft") throw new WeirError("conflict", "The account's credits changed meanwhile; ask again.");
    return after;
  }

  /** Marks a finalized invoice as paid; one that is paid already stays as it is. Throws `not_found`, `conflict`. */
  async pay(id: string, seenBy: string | null, payment: string | null, now: number): Promise<Invoice> {
    await this.#require(id, seenBy);
    return (await markPaid(this.#stores.db, id, payment, now)) ?? this.#already(id, "paid");
  }

  /** Voids a finalized invoice that is not paid. Its number stays, and what it billed is not billed again; credits it burned are back. Throws `not_found`, `conflict`. */
  async void(id: string, seenBy: string | null, now: number): Promise<Invoice> {
    await this.#require(id, seenBy);
    return (await markVoid(this.#stores.db, id, now)) ?? this.#already(id, "void");
  }

  /**
   * Credits a finalized or paid invoice. The same `idempotencyKey` gives the same note again. Throws `not_found`, `conflict` (a draft, a void
   * invoice, more than is left of it) and `idempotency_mismatch`.
   */
  async credit(id: string, seenBy: string | null, request: CreditRequest, made: { by: string; now: number }): Promise<CreditNote> {
    await this.#require(id, seenBy);
    const found = await creditInvoice(this.#stores.db, id, request, made);
    if (!found) throw notFound(`Invoice ${id}`);
    if (!("note" in found)) {
      const left = `At most ${found.leftUsdMicros} micro-units of the invoice are left to be credited.`;
      throw new WeirError("conflict", found.outcome === "too_much" ? left : `A ${found.outcome} invoice is not credited.`);
    }
    const { note } = found;
    if (note.invoice !== id || note.amountUsdMicros !== request.amountUsdMicros || note.reason !== request.reason)
      throw new WeirError("idempotency_mismatch", "This idempotencyKey made another credit note; use a new key for a new one.");
    return note;
  }

  /** The credit notes of an invoice, as far as `account` may see it, newest first. Throws `not_found`. */
  async creditNotes(id: string, account: string | null): Promise<CreditNote[]> {
    const invoice = await this.#require(id, account);
    return listCreditNotes(this.#stores.db, invoice.account, id, CREDIT_NOTES_MAX);
  }

  /** A line walked back to hourly buckets; lines count from 1. Throws `not_found`. */
  async explain(id: string, number: number, account: string | null, now: number): Promise<ExplainedLine> {
    const invoice = await this.find(id, account, now);
    const line = invoice.lines[number - 1];
    if (!line) throw notFound(`Line ${number} of invoice ${id}`);
    return explainLine(this.#stores, invoice, line, now);
  }

  async #already(id: string, wanted: "paid" | "void"): Promise<Invoice> {
    const found = await this.#require(id, null);
    if (found.state === wanted) return found;
    throw new WeirError(
      "conflict",
      `Only a finalized invoice becomes ${wanted}; this one is ${found.state === "draft" ? "a draft" : found.state}.`,
    );
  }

  async #require(id: string, account: string | null): Promise<Invoice> {
    const found = await findInvoice(this.#stores.db, id, account);
    if (!found) throw notFound(`Invoice ${id}`);
    return found;
  }
}

const NOTHING = { currency: "USD", lines: [], totalUsdMicros: 0, taxUsdMicros: 0 };
const NOT_YET = {
  state: "draft",
  number: null,
  creditedUsdMicros: 0,
  finalizedAt: null,
  paidAt: null,
  voidedAt: null,
  payment: null,
} as const;
