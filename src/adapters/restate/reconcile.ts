import { isRecord } from "../json.ts";
import { MeteredCall, type Decision } from "../metered-call.ts";
import type { MeasuredObject } from "../port.ts";
import { EVENT_SOURCE, placeOfCall, STEP, type RestateMeterOptions } from "./restate.ts";
import { query, text } from "./sql.ts";

/** Invocations looked at in one call. */
const INVOCATIONS_MAX = 1_000;

export interface ReconcileOptions extends RestateMeterOptions {
  adminUrl: string;
  /** The Restate services whose handlers are metered. */
  services: readonly string[];
}

/**
 * Settles invocations that were ended from outside (killed) by what their journals hold; one that has settled is not counted again. To be
 * run more often than journals are kept (a day). Answers how many were looked at: `INVOCATIONS_MAX` means that there may be more.
 */
export async function settleKilled(options: ReconcileOptions, since = new Date(0).toISOString()): Promise<number> {
  const killed = await query(
    options.adminUrl,
    `SELECT id FROM sys_invocation WHERE status = 'completed' AND completion_result = 'failure' AND completed_at > ${text(since)}
     AND target_service_name IN (${options.services.map(text).join(", ")}) ORDER BY completed_at LIMIT ${INVOCATIONS_MAX}`,
  );
  for (const { id } of killed) {
    const entries = await query(
      options.adminUrl,
      `SELECT entry_json FROM sys_journal WHERE id = ${text(String(id))} AND version = 2 ORDER BY index`,
    );
    await settleFromJournal(
      options,
      String(id),
      entries.map((row) => JSON.parse(String(row["entry_json"])) as Entry),
    );
  }
  return killed.length;
}

/** Tells Weir the measured size of every object: what was edited out of band, and what no invocation measured, is put right. */
export async function recountStorage(options: ReconcileOptions): Promise<number> {
  const services = options.services.map(text).join(", ");
  const [sized, touched] = await Promise.all([
    query(
      options.adminUrl,
      `SELECT service_name AS service, service_key AS key, SUM(key_length + value_length) AS bytes FROM state
       WHERE service_name IN (${services}) GROUP BY service_name, service_key`,
    ),
    // What has been cleared is in no table of state, but in the invocation that did it.
    query(
      options.adminUrl,
      `SELECT DISTINCT target_service_name AS service, target_service_key AS key FROM sys_invocation
       WHERE target_service_name IN (${services}) AND status = 'completed'`,
    ),
  ]);
  const objects = new Map<string, MeasuredObject & { account: string }>();
  for (const { service, key, bytes = 0 } of [...touched, ...sized]) {
    const {
      account,
      namespace = "",
      object = "",
    } = placeOfCall(options, { service: String(service), key: String(key), headers: new Map() });
    const measured = { account, service: options.service, namespace, object, storageBytes: Number(bytes) };
    objects.set(`${account}/${namespace}/${object}`, measured);
  }
  for (const [account, mine] of Map.groupBy(objects.values(), (one) => one.account)) {
    await options.meter.recount(
      account,
      mine.map(({ service, namespace, object, storageBytes }) => ({ service, namespace, object, storageBytes })),
    );
  }
  return objects.size;
}

/** `{"Command": {"SetState": {…}}}` or `{"Notification": {"Completion": {"GetLazyState": {…}}}}`: bytes as lists of numbers. */
type Entry = Record<"Command" | "Notification", Record<string, Record<string, unknown>>>;

/** Goes through a journal as the invocation did, by the same code: what it counts is what the invocation would have settled. */
async function settleFromJournal(options: ReconcileOptions, id: string, entries: readonly Entry[]): Promise<void> {
  const decisions = decisionsOf(entries);
  const [first] = decisions;
  if (!first) return;
  const taken = new Set<string>();
  const call = new MeteredCall(options, {
    place: first.place,
    key: `restate:${id}`,
    source: EVENT_SOURCE,
    writes: first.held.growthBytes !== null,
    deny: ({ message }) => new Error(message),
    journal: (step) => {
      taken.add(step);
      const decision = decisions[Number(step)];
      return decision ? Promise.resolve(decision) : Promise.reject(new Error(`${id} was ended before it decided ${step}.`));
    },
  });
  await call.begin(undefined).catch(() => undefined);
  for (const entry of entries) await follow(call, entry, entries, taken).catch(() => undefined);
  await call.settle();
}

/** The decisions in their order. */
function decisionsOf(entries: readonly Entry[]): Decision[] {
  return entries.flatMap((entry) => {
    const run = entry.Command?.["Run"];
    const result = run && String(run["name"]).startsWith(STEP) ? completionOf(entries, "Run", run)?.["result"] : null;
    return isRecord(result) ? [JSON.parse(Buffer.from(result["Success"] as number[]).toString()) as Decision] : [];
  });
}

const completionOf = (entries: readonly Entry[], kind: string, command: Record<string, unknown>): Record<string, unknown> | undefined =>
  entries
    .map(({ Notification: notified }) => notified?.["Completion"]?.[kind])
    .filter(isRecord)
    .find((completion) => completion["completion_id"] === command["completion_id"]);

/** Counts one entry. A read whose answer never came counts as one that found its row. */
async function follow(
  call: MeteredCall,
  { Command: command }: Entry,
  entries: readonly Entry[],
  taken: ReadonlySet<string>,
): Promise<void> {
  const [kind = "", body = {}] = Object.entries(command ?? {})[0] ?? [];
  const key = String(body["key"]);
  switch (kind) {
    case "SetState":
      return call.put(key, Buffer.byteLength(key) + (body["value"] as number[]).length);
    case "ClearState":
      return call.remove(key);
    case "ClearAllState":
      return call.removeAll();
    case "GetEagerState":
    case "GetLazyState": {
      const { result } = { ...body, ...completionOf(entries, kind, body) } as { result?: unknown };
      return call.read(Promise.resolve(), () => (result === "Void" ? 0 : 1));
    }
    case "GetEagerStateKeys":
    case "GetLazyStateKeys": {
      const { state_keys: keys } = { ...body, ...completionOf(entries, kind, body) } as { state_keys?: unknown[] };
      return call.read(Promise.resolve(), () => Math.max(1, keys?.length ?? 1));
    }
    case "Run": {
      const name = String(body["name"]);
      // A hold that no read asked for was the handler's own.
      if (name.startsWith(STEP) && !taken.has(name.slice(STEP.length))) await call.hold({});
    }
  }
}
