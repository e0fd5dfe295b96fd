import { findMeter } from "../catalog/catalog.ts";
import { notFound, validationFailed, WeirError, type FieldError } from "../kernel/errors.ts";
import { iso, parseInstant } from "../kernel/window.ts";
import type { Correction, CorrectionRequest } from "../ledger/correction.ts";
import { appendCorrection } from "../ledger/correction-store.ts";
import { correctableFrom } from "../ledger/retired-month-store.ts";
import type { Db } from "../stores/database.ts";
import type { AccountLoader, GateStores } from "./account-loader.ts";

/**
 * Appends a correction of a counter, in force for the next check: Postgres first, then Redis takes the new sums, then the answer.
 * When Redis cannot be told the caller gets `503` and repeats the call; its key keeps it from counting twice.
 * Throws `validation_failed`, `not_found` (account) and `idempotency_mismatch`.
 */
export async function correct(
  { db, catalog }: GateStores,
  loader: AccountLoader,
  account: string,
  request: CorrectionRequest,
  made: { by: string; now: number },
): Promise<Correction> {
  const at = request.at === undefined ? made.now : (parseInstant(request.at) ?? Infinity);
  const meter = findMeter(catalog.catalog, request.meter);
  const errors: FieldError[] = [];
  if (!meter) errors.push({ path: "meter", message: "is not a meter of the catalogue" });
  if (meter?.kind === "gauge") errors.push({ path: "meter", message: "is a gauge: tell measured sizes with POST /v1/recount" });
  if (at > made.now) errors.push({ path: "at", message: "must not be in the future" });
  if (at < 0) errors.push({ path: "at", message: "must not be before 1970" });
  if (errors.length > 0) throw validationFailed(errors);
  const appended = await appendCorrection(db, account, request, { at, madeBy: made.by, now: made.now });
  if (!appended) throw await whyNot(db, account);
  if (!appended.sameRequest) {
    throw new WeirError("idempotency_mismatch", "This idempotencyKey made another correction; use a new key for a new one.");
  }
  await loader.refreshAndTell(account, made.now);
  return appended.correction;
}

async function whyNot(db: Db, account: string): Promise<WeirError> {
  const from = await correctableFrom(db, account);
  if (from === null || from === Number.NEGATIVE_INFINITY) return notFound(`Account ${account}`);
  return validationFailed([{ path: "at", message: `must be ${iso(from)} or later: of billing months before that usage is not kept` }]);
}
