import type { Command } from "commander";

/** An example or two for every command, shown below its help. */
const EXAMPLES: Readonly<Record<string, readonly string[]>> = {
  "weir usage": ["weir usage --watch", "weir usage --history state_requests --by day"],
  "weir limits list": ["weir limits list"],
  "weir limits set": ["weir limits set state_requests --period month --value 1000000 --notify-at-percent 80"],
  "weir limits delete": ["weir limits delete state_requests --period month"],
  "weir notifications": ["weir notifications --limit 10"],
  "weir invoices list": ["weir invoices list --account acct_1"],
  "weir invoices show": ["weir invoices show inv_fCVOkjoBrv8BNlzsNoxs"],
  "weir invoices upcoming": ["weir invoices upcoming"],
  "weir invoices explain": ["weir invoices explain inv_fCVOkjoBrv8BNlzsNoxs.2"],
  "weir invoices run": ["weir invoices run"],
  "weir invoices finalize": ["weir invoices finalize inv_fCVOkjoBrv8BNlzsNoxs"],
  "weir invoices pay": ["weir invoices pay inv_fCVOkjoBrv8BNlzsNoxs --payment transfer-17"],
  "weir invoices void": ["weir invoices void inv_fCVOkjoBrv8BNlzsNoxs"],
  "weir invoices credit": [
    "weir invoices credit inv_fCVOkjoBrv8BNlzsNoxs --amount-usd-micros 500000 --reason outage --idempotency-key outage-2026-11-21",
  ],
  "weir pricing": ["weir pricing state"],
  "weir simulate": ["weir simulate pro --account acct_demo --from 2026-11-01T00:00:00Z --to 2026-12-01T00:00:00Z"],
  "weir state list": ["weir state list --service service_1"],
  "weir state create": ["weir state create --service service_1 Room --worker-url https://worker.example"],
  "weir state delete": ["weir state delete --service service_1 Room"],
  "weir state objects": ["weir state objects --service service_1 Room"],
  "weir state keys": ["weir state keys --service service_1 Room room-1"],
  "weir state get": ["weir state get --service service_1 Room room-1 counter"],
  "weir state put": [
    "weir state put --service service_1 Room room-1 counter 1",
    "weir state put --service service_1 Room room-1 photo @photo.png",
  ],
  "weir state delete-value": ["weir state delete-value --service service_1 Room room-1 counter"],
  "weir state alarm set": ["weir state alarm set --service service_1 Room room-1 --delay-seconds 60"],
  "weir state alarm get": ["weir state alarm get --service service_1 Room room-1"],
  "weir state alarm delete": ["weir state alarm delete --service service_1 Room room-1"],
  "weir check": [
    "weir check put --service service_1 --namespace Room --object room-1 --mode peek",
    "weir check --usage state_requests=20 --idempotency-key import-17",
  ],
  "weir replay": ["weir replay trace.csv.gz --check-only --limit 100000"],
  "weir demo": ["weir demo --seconds 30"],
  "weir start": ["weir start"],
  "weir serve": ["weir serve --workers 4"],
  "weir worker": ["weir worker --concurrency 2"],
  "weir accounts list": ["weir accounts list --limit 20"],
  "weir accounts show": ["weir accounts show acct_1"],
  "weir accounts create": ["weir accounts create acct_1 --plan free"],
  "weir accounts update": ["weir accounts update acct_1 --timezone Europe/Berlin"],
  "weir accounts plan": ["weir accounts plan acct_1 pro --at-period-end"],
  "weir keys list": ["weir keys list --account acct_1"],
  "weir keys create": [
    "weir keys create --account acct_1 --scope read_only --name dashboard",
    "weir keys create --operator --scope data_plane",
  ],
  "weir keys delete": ["weir keys delete key_4hTq0vRz81xYbN2cWmLs --account acct_1"],
  "weir keys rotate": ["weir keys rotate key_4hTq0vRz81xYbN2cWmLs --account acct_1 --overlap-seconds 3600"],
  "weir webhooks list": ["weir webhooks list"],
  "weir webhooks create": ["weir webhooks create https://example.com/hook --event usage.limit_reached"],
  "weir webhooks delete": ["weir webhooks delete wh_8sKd02mFzQ7LrXvTn5Pa"],
  "weir webhooks enable": ["weir webhooks enable wh_8sKd02mFzQ7LrXvTn5Pa"],
  "weir webhooks test": ["weir webhooks test wh_8sKd02mFzQ7LrXvTn5Pa"],
  "weir webhooks rotate": ["weir webhooks rotate wh_8sKd02mFzQ7LrXvTn5Pa --previous-secret-seconds 86400"],
  "weir webhooks deliveries": ["weir webhooks deliveries wh_8sKd02mFzQ7LrXvTn5Pa"],
  "weir webhooks replay": ["weir webhooks replay wh_8sKd02mFzQ7LrXvTn5Pa del_Zc91hYtB3wKqJ6uRoE4x"],
  "weir catalog show": ["weir catalog show"],
  "weir catalog diff": ["weir catalog diff meters.json"],
  "weir catalog apply": ["weir catalog apply meters.json"],
  "weir recount": ["weir recount --service service_1"],
  "weir migrate": ["weir migrate"],
  "weir roles": ["weir roles --apply"],
  "weir audit list": ["weir audit list --of acct_1"],
  "weir audit verify": ["weir audit verify --against audit-2026-10.jsonl"],
  "weir audit export": ["weir audit export"],
  "weir completion": ["weir completion bash"],
  "weir doctor": ["weir doctor", "weir doctor --reclaim acct_1"],
};

/** Adds the examples of a command, and of all below it, to their help. `path` is the words that name it. */
export function addExamples(command: Command, path = `weir ${command.name()}`): void {
  for (const sub of command.commands) addExamples(sub, `${path} ${sub.name()}`);
  const examples = EXAMPLES[path] ?? [];
  if (examples.length > 0) command.addHelpText("after", `\n${examples.map((line) => `Example: ${line}`).join("\n")}`);
}
