import type { PaymentAdapter } from "./adapter.ts";
import type { MeterNames } from "./meter-events.ts";
import { manualPayments } from "./manual.ts";
import { openStripe, type StripeOptions } from "./stripe.ts";

/** Who collects the money. */
export type PaymentOptions = {
  /** Invoices that were finalized before are left alone, epoch ms; null: none is. */
  from: number | null;
  /** Meters whose usage is counted there too. */
  meters: MeterNames;
} & ({ provider: "manual" } | { provider: "stripe"; stripe: StripeOptions });

/** The adapter of the configured provider. Throws one sentence where its package is missing. */
export const openAdapter = async (options: PaymentOptions): Promise<PaymentAdapter> =>
  options.provider === "manual" ? manualPayments : openStripe(options.stripe);
