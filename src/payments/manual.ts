import { WeirError } from "../kernel/errors.ts";
import type { DueInvoice, PaymentAdapter } from "./adapter.ts";

/** Somebody collects by hand, and says so with `weir invoices pay`. The hand-over shows what is open; nobody else is asked. */
export const manualPayments: PaymentAdapter = {
  provider: "manual",
  handOver: ({ number }: DueInvoice) => Promise.resolve(String(number)),
  withdraw: () => Promise.resolve(),
  count: () => Promise.resolve(),
  read: () => {
    throw new WeirError("not_found", "Payments are marked by hand here: weir invoices pay <id>.");
  },
};
