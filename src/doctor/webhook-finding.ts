import { iso } from "../kernel/window.ts";
import type { Webhook } from "../notifications/webhook.ts";
import { ok, warning, type Finding } from "./finding.ts";

const REASONS: Readonly<Record<NonNullable<Webhook["disabledReason"]>, string>> = {
  failing: "it only failed for days",
  gone: "it answered 410 Gone",
};

/** Endpoints that are told nothing any more. `disabled`: the latest of them. */
export function webhookFinding(disabled: readonly (Webhook & { account: string })[]): Finding {
  const [first] = disabled;
  if (first === undefined) return ok("webhooks", "every endpoint is in use");
  const each = disabled.map(({ account, id, disabledAt, disabledReason }) => {
    const why = disabledReason === null ? "" : `, since ${REASONS[disabledReason]}`;
    return `${id} of ${account} at ${iso(disabledAt ?? 0)}${why}`;
  });
  return warning(
    "webhooks",
    `out of use, and told nothing: ${each.join("; ")}`,
    `Put the endpoint right, then: weir webhooks enable ${first.id} --account ${first.account} (and weir webhooks test ${first.id} --account ${first.account}).`,
  );
}
