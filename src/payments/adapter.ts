import type { InvoiceLine } from "../invoices/invoice.ts";

export const PROVIDERS = ["manual", "stripe"] as const;
export type Provider = (typeof PROVIDERS)[number];

/** Whom an account is at the other side. */
export interface Customer {
  /** What the other side calls it; null before anything of it was handed over. */
  id: string | null;
  name: string | null;
  email: string | null;
}

/** A finalized invoice to be collected. What it comes to is the same in every attempt. */
export interface DueInvoice {
  account: string;
  id: string;
  number: number;
  currency: string;
  lines: readonly InvoiceLine[];
  /** Taken off by credit notes by the time it fell due. */
  creditedUsdMicros: number;
  customer: Customer;
  /** What the other side calls it, where that is known. */
  externalId: string | null;
  /** An earlier attempt may have left something at the other side. */
  tried: boolean;
  /** Attempts that were answered and refused. */
  refusals: number;
}

/** A payment that the other side tells of. */
export interface ToldPayment {
  /** Weir's id of the invoice, and what the other side calls it. */
  invoice: string;
  externalId: string;
}

/** Usage of an hour that is to be counted at the other side. Every attempt tells the same. */
export interface MeterEvent {
  /** Known there for a day: an event is counted once by it. At most 100 characters. */
  identifier: string;
  customer: string;
  /** What the meter is called there. */
  name: string;
  quantity: bigint;
  /** Epoch ms. */
  at: number;
}

/** Somebody who collects money. Calls end within a bounded time; any may be repeated. */
export interface PaymentAdapter {
  readonly provider: Provider;
  /**
   * Has the invoice collected, once, however often it is called; answers what the other side calls it. `remember` is told of a new
   * customer and answers the one that counts, before anything is asked of it. Throws `Refused` for an answer that is no success.
   */
  handOver(due: DueInvoice, remember: (customer: string) => Promise<string>): Promise<string>;
  /** The invoice is void, or was paid elsewhere: it is not to be collected any more. Throws `Refused`. */
  withdraw(due: DueInvoice, because: "paid" | "void"): Promise<void>;
  /** Counts usage there, once by its identifier. Throws `Refused`, and `NotArrived` where it certainly was not counted. */
  count(event: MeterEvent): Promise<void>;
  /** What a webhook tells of; null for what is of no concern. Throws `bad_request` where it was not the other side that sent it, or not now. */
  read(body: Buffer, signature: string, now: number): ToldPayment | null;
}

/** Nothing was sent: the other side could not be reached at all. */
export class NotArrived extends Error {}

/** The other side answered, and it was no success. Whether trying again may help, it says itself. */
export class Refused extends Error {
  /** The same would be refused again: nothing but a change helps. */
  readonly final: boolean;

  constructor(message: string, final: boolean, cause?: unknown) {
    super(message, { cause });
    this.name = "Refused";
    this.final = final;
  }
}
