import { hash } from "node:crypto";
import type { z } from "zod";
import { findMeter, type Catalog } from "../catalog/catalog.ts";
import { DAY_MS, parseInstant } from "../kernel/window.ts";
import { usageEventSchema, type EventEnvelope } from "./event-envelope.ts";
import { isPlainEvent } from "./plain-event.ts";

/** Events in one request. */
export const EVENTS_MAX = 1_000;
/** An event counts in its own hour when it is at most this old. */
export const EVENT_AGE_MAX_MS = DAY_MS;
/** A sender's clock may be this far ahead: what it says happened now. */
const EVENT_AHEAD_MAX_MS = 5 * 60_000;
/** Hex digits of a key: 128 bits, where the chance that two of 10^12 events share one is 10^-15. */
const KEY_HEX_LENGTH = 32;

/** An event that is well-formed; whether its account exists is not known yet. */
export interface UsageEvent {
  /** Its place in the request. */
  index: number;
  /** What it is known by: 32 hex digits. */
  key: string;
  account: string;
  /** When it happened, epoch ms; never after now. */
  at: number;
  /** Too old to be counted, unless it was counted when it was not. */
  late: boolean;
  service: string;
  namespace: string;
  object: string | null;
  /** Meter and quantity, zeros left out. */
  usage: readonly (readonly [meter: string, quantity: number])[];
  storageBytes: EventEnvelope["data"]["storageBytes"] | null;
}

/** Why one event of a request was not counted. */
export interface RejectedEvent {
  index: number;
  code: "validation_failed" | "not_found";
  detail: string;
}

/**
 * Reads one event of a request. `realm` is whom its key belongs to: an account, or '' for the operator. It is part of the event's
 * identity, or an account could keep the operator's events about it (or about others) from being counted, by sending their
 * source and id first.
 */
export function readEvent(catalog: Catalog, realm: string, item: unknown, index: number, now: number): UsageEvent | RejectedEvent {
  const parsed = isPlainEvent(item) ? { success: true as const, data: item } : usageEventSchema.safeParse(item);
  if (!parsed.success) return invalid(index, sentenceOf(parsed.error));
  const { id, source, subject, time, data } = parsed.data;
  const at = typeof time === "string" ? (parseInstant(time) ?? now) : now;
  if (at > now + EVENT_AHEAD_MAX_MS) return invalid(index, "time: is more than 5 minutes in the future");
  const usage = Object.entries(data.usage ?? {});
  for (const [meter] of usage) {
    const found = findMeter(catalog, meter);
    if (!found) return invalid(index, `data.usage.${meter}: is not a meter of the catalogue`);
    if (found.kind === "gauge") return invalid(index, `data.usage.${meter}: is a gauge: report it as storageBytes`);
  }
  return {
    index,
    key: eventKey(realm, source, id),
    account: subject,
    at: Math.min(at, now),
    late: now - at > EVENT_AGE_MAX_MS,
    service: data.service ?? "",
    namespace: data.namespace ?? "",
    object: data.object ?? null,
    usage: usage.filter(([, quantity]) => quantity > 0),
    storageBytes: data.storageBytes ?? null,
  };
}

export const isRejected = (event: UsageEvent | RejectedEvent): event is RejectedEvent => "code" in event;

export const invalid = (index: number, detail: string): RejectedEvent => ({ index, code: "validation_failed", detail });

/** None of the parts holds a control character, so NUL keeps ("a", "bc") and ("ab", "c") apart. */
const eventKey = (realm: string, source: string, id: string): string =>
  hash("sha256", `${realm}\0${source}\0${id}`, "hex").slice(0, KEY_HEX_LENGTH);

function sentenceOf({ issues }: z.ZodError): string {
  const [issue] = issues;
  if (!issue) return "is not a usage event";
  const path = issue.path.map(String).join(".");
  return path === "" ? `event: ${issue.message}` : `${path}: ${issue.message}`;
}
