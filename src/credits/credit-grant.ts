import { z } from "zod";
import { DECIMAL_PATTERN } from "../kernel/money.ts";
import { QUANTITY_MAX } from "../kernel/quantity.ts";
import { parseInstant } from "../kernel/window.ts";

export const CREDIT_KINDS = ["paid", "promotional"] as const;
export type CreditKind = (typeof CREDIT_KINDS)[number];

export const CREDIT_STATES = ["planned", "active", "used_up", "expired", "voided"] as const;
export type CreditState = (typeof CREDIT_STATES)[number];

/** Credits an account was given. Amounts in millionths of `currency`, times in epoch ms. */
export interface CreditGrant {
  id: string;
  account: string;
  name: string;
  kind: CreditKind;
  currency: string;
  amountUsdMicros: number;
  /** What invoices burned of it, less what void ones gave back. */
  burnedUsdMicros: number;
  /** The lowest is burned first. */
  priority: number;
  /** It covers billing months that end after `effectiveAt` and not after `expiresAt`. */
  effectiveAt: number;
  expiresAt: number | null;
  /** A decimal: what was paid for credits worth one unit of the currency. */
  costBasis: string;
  madeBy: string;
  createdAt: number;
  voidedAt: number | null;
  /** The order in which grants were made. */
  seq: number;
}

/** An entry of a grant's ledger. */
export interface CreditBurn {
  invoice: string;
  /** Below zero where a void invoice gave back. */
  amountUsdMicros: number;
  at: number;
}

/** Grants of an account that are in use at once: each is a line of an invoice it pays. */
export const GRANTS_IN_USE_MAX = 100;
/** Millionths: 90 million dollars. All that are in use together stay below 2^53, and can be shown. */
const AMOUNT_MAX = Math.floor(QUANTITY_MAX / GRANTS_IN_USE_MAX);

const PRIORITY_DEFAULT = 50;
const PRIORITY_MAX = 100;
const NAME_LENGTH_MAX = 100;
const KEY_LENGTH_MAX = 255;

const instant = z
  .string()
  .max(40)
  .refine((text) => parseInstant(text) !== null, "must be an RFC 3339 time such as 2027-01-01T00:00:00Z");

/** Body of `POST /v1/credits`. */
export const grantRequestSchema = z.strictObject({
  amountUsdMicros: z.int().min(1).max(AMOUNT_MAX),
  currency: z
    .string()
    .regex(/^[A-Z]{3}$/, "must be a currency of ISO 4217, such as USD")
    .default("USD"),
  name: z
    .string()
    .trim()
    .min(1)
    .max(NAME_LENGTH_MAX)
    .refine((s) => s.isWellFormed() && !/[\u0000-\u001f\u007f-\u009f]/.test(s), "must not hold control characters")
    .default("Prepaid credits"),
  kind: z.enum(CREDIT_KINDS).default("paid"),
  priority: z.int().min(0).max(PRIORITY_MAX).default(PRIORITY_DEFAULT),
  effectiveAt: instant.optional(),
  expiresAt: instant.nullish(),
  costBasis: z.string().regex(DECIMAL_PATTERN, 'must be a decimal string such as "0.8"').optional(),
  idempotencyKey: z
    .string()
    .min(1)
    .max(KEY_LENGTH_MAX)
    .refine((s) => s.isWellFormed() && !s.includes("\u0000"), "must be well-formed text"),
});

export type GrantRequest = z.infer<typeof grantRequestSchema>;

/** A request with all that it leaves to Weir. Times in epoch ms. */
export interface NewGrant extends Omit<GrantRequest, "effectiveAt" | "expiresAt" | "costBasis"> {
  effectiveAt: number;
  expiresAt: number | null;
  costBasis: string;
}

/** Fills in what a request leaves out: it is in force from `now` on, and was paid for at its worth, or as a gift not at all. */
export function newGrant({ effectiveAt, expiresAt, costBasis, ...rest }: GrantRequest, now: number): NewGrant {
  return {
    ...rest,
    effectiveAt: effectiveAt === undefined ? now : (parseInstant(effectiveAt) ?? now),
    expiresAt: expiresAt ? parseInstant(expiresAt) : null,
    costBasis: costBasis ?? (rest.kind === "paid" ? "1" : "0"),
  };
}

/** One text for one request: two requests of a key are the same if theirs are. */
export const grantRequestText = ({ idempotencyKey: _key, effectiveAt, expiresAt, costBasis, ...rest }: GrantRequest): string =>
  JSON.stringify([
    rest.amountUsdMicros,
    rest.currency,
    rest.name,
    rest.kind,
    rest.priority,
    effectiveAt === undefined ? null : parseInstant(effectiveAt),
    expiresAt ? parseInstant(expiresAt) : null,
    costBasis ?? null,
  ]);

/** What can still be burned of a grant, by months that it covers. */
export const remainingOf = ({ amountUsdMicros, burnedUsdMicros, voidedAt }: CreditGrant): number =>
  voidedAt === null ? amountUsdMicros - burnedUsdMicros : 0;

/** Where a grant stands at `now`. */
export function creditState(grant: CreditGrant, now: number): CreditState {
  if (grant.voidedAt !== null) return "voided";
  if (remainingOf(grant) === 0) return "used_up";
  if (grant.expiresAt !== null && grant.expiresAt <= now) return "expired";
  return grant.effectiveAt > now ? "planned" : "active";
}
