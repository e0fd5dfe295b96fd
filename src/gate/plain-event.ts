import { ACCOUNT_PATTERN, isKeyName, isObjectName, NAMESPACE_PATTERN, SERVICE_PATTERN } from "../kernel/ids.ts";
import { parseInstant } from "../kernel/window.ts";
import { EVENT_NAME_LENGTH_MAX, EVENT_TIME_LENGTH_MAX, type EventEnvelope } from "./event-envelope.ts";
import { isObject, isStorage, isUsage, matches, type Is } from "./plain-check.ts";

/**
 * Whether a parsed item is an event as `usageEventSchema` has it: what this accepts, the schema accepts unchanged, in a tenth of its time,
 * which for a batch of 1,000 was a third of all. What it does not accept may still be one; and only the schema says what is wrong with it.
 */
export function isPlainEvent(item: unknown): item is EventEnvelope {
  if (!isObject(item)) return false;
  return (
    item["specversion"] === "1.0" &&
    item["type"] === "weir.usage" &&
    isName(item["id"]) &&
    isName(item["source"]) &&
    isAccount(item["subject"]) &&
    isTime(item["time"]) &&
    isData(item["data"])
  );
}

const isAccount = matches(ACCOUNT_PATTERN);

// Characters outside the basic plane are two units long: which of the longer ones fit is left to the schema.
const isName: Is = (value) => typeof value === "string" && value.length <= EVENT_NAME_LENGTH_MAX && isKeyName(value);

const isTime: Is = (value) =>
  value === undefined ||
  value === null ||
  (typeof value === "string" && value.length <= EVENT_TIME_LENGTH_MAX && parseInstant(value) !== null);

const isData: Is = (value) => {
  if (!isObject(value)) return false;
  let saysSomething = false;
  for (const name of Object.keys(value)) {
    const is = MEMBERS.get(name);
    if (!is?.(value[name])) return false;
    saysSomething ||= name === "usage" || name === "storageBytes";
  }
  return saysSomething;
};

const MEMBERS: ReadonlyMap<string, Is> = new Map<string, Is>([
  ["service", matches(SERVICE_PATTERN)],
  ["namespace", matches(NAMESPACE_PATTERN)],
  ["object", (value) => typeof value === "string" && isObjectName(value)],
  ["usage", isUsage],
  ["storageBytes", isStorage],
]);
