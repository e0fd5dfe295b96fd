import { createHash } from "node:crypto";
import { iso, type Window } from "../kernel/window.ts";
import type { JsonQuantity, RatedTierDocument } from "../rating/rated-document.ts";

export const INVOICE_STATES = ["draft", "finalized", "paid", "void"] as const;
export type InvoiceState = (typeof INVOICE_STATES)[number];

export const LINE_KINDS = ["subscription", "usage", "proration", "credit", "tax", "correction"] as const;
export type LineKind = (typeof LINE_KINDS)[number];

/**
 * What a month of one meter under one plan was billed for by then, in whole base units as text: the ledger's figures that the line is
 * rated from. The next line of the same month, for usage that came late, bills the difference to it.
 */
export interface Basis {
  usage: string;
  corrections: string;
  /** A gauge's integral over the month. */
  byteMilliseconds: string;
  amountUsdMicros: number;
}

export interface LineExplanation {
  /** The arithmetic in one line. */
  text: string;
  /** Of what the plan says the line follows, and in which version of the catalogue. */
  plan?: string;
  catalogVersion?: number;
  /** The billing month that the line is for. */
  month?: { start: string; end: string };
  /** The length of that month, which averages a level and prorates a fee. */
  monthMilliseconds?: number;
  basis?: Basis;
  /** What had been billed of it before. */
  billedBefore?: Basis;
  /** A tax: what it is reckoned on, and what it comes to. One that the prices contain adds nothing to the total. */
  baseUsdMicros?: number;
  taxUsdMicros?: number;
  inclusive?: boolean;
  /** What is carried: from invoices of earlier months, or to the next one, since an invoice of less than nothing is not sent. */
  balance?: "from_earlier" | "to_next";
  /** The grant of prepaid credits that the line burns. */
  creditGrant?: string;
}

/** A line as it is stored and answered. Amounts are integers in millionths of the invoice's currency. */
export interface InvoiceLine {
  kind: LineKind;
  meter?: string;
  description: string;
  period: { start: string; end: string };
  /** In the meter's base unit; of a gauge the average level, shown to the byte and rated exactly. */
  quantity: JsonQuantity;
  included: JsonQuantity;
  billable: JsonQuantity;
  /** Of one `unit` (`unitSize` base units); null where tiers or a percentage have no one price. */
  unitPrice: JsonQuantity | null;
  unit: string;
  unitSize: number;
  amountUsdMicros: number;
  tiers?: RatedTierDocument[];
  explain: LineExplanation;
}

/** What an invoice comes to before it has an id, a state and a number. */
export interface InvoiceBody {
  currency: string;
  lines: InvoiceLine[];
  /** The lines add up to it. */
  totalUsdMicros: number;
  /** All taxes, contained ones too. */
  taxUsdMicros: number;
}

/** An invoice as it is kept. Times in epoch ms. */
export interface Invoice extends InvoiceBody {
  id: string;
  account: string;
  state: InvoiceState;
  /** From 1, without gaps, over all accounts; null while it is a draft. */
  number: number | null;
  period: Window;
  creditedUsdMicros: number;
  draftedAt: number;
  finalizedAt: number | null;
  paidAt: number | null;
  voidedAt: number | null;
  payment: string | null;
}

/** What is still to be paid: nothing of a draft, nothing of what is paid or void. */
export const amountDue = ({ state, totalUsdMicros, creditedUsdMicros }: Invoice): number =>
  state === "finalized" ? totalUsdMicros - creditedUsdMicros : 0;

/** The id of the invoice of the month that ends at `end`: the same whoever makes it, and however often. */
export function invoiceId(account: string, end: number): string {
  const hash = createHash("sha256")
    .update(`${account}/${iso(end)}`)
    .digest();
  return `inv_${hash.toString("base64url").replace(/[-_]/g, "").slice(0, ID_LENGTH)}`;
}

/** 119 bits, as in every other id. */
const ID_LENGTH = 20;
