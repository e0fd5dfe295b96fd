/** Facts that a person wants first, in this order; others follow as they come. */
const FIRST = ["account", "meter", "period", "used", "limit", "percent", "source", "windowStart", "windowEnd"];
const LINE_LENGTH_MAX = 500;

/** Subject and text of the mail that says what `body`, the bytes of a message, says. */
export function mailText(body: Buffer): { subject: string; text: string } {
  const { type, timestamp, data } = JSON.parse(body.toString("utf8")) as { type: string; timestamp: string; data: Record<string, unknown> };
  const names = [...FIRST.filter((name) => name in data), ...Object.keys(data).filter((name) => !FIRST.includes(name))];
  const facts = names.map((name) => `${name}: ${shown(data[name])}`.slice(0, LINE_LENGTH_MAX));
  return { subject: subjectOf(type, data), text: [`${sentenceOf(type, data)}`, "", ...facts, "", `${type}, ${timestamp}`, ""].join("\n") };
}

function subjectOf(type: string, data: Record<string, unknown>): string {
  return `[Weir] ${shown(data["account"])}: ${sentenceOf(type, data).replace(/\.$/, "")}`;
}

function sentenceOf(type: string, data: Record<string, unknown>): string {
  const meter = shown(data["meter"]);
  const period = shown(data["period"]);
  switch (type) {
    case "usage.threshold_reached":
      return `${meter} has reached ${shown(data["percent"])} % of its limit for the ${period}.`;
    case "usage.limit_reached":
      return `${meter} has reached its limit for the ${period}.`;
    case "usage.window_reset":
      return `A new ${period} has begun for ${meter}.`;
    case "subscription.changed":
      return "The subscription has changed.";
    case "invoice.finalized":
      return "An invoice is final.";
    case "credits.low":
      return "Prepaid credits run low.";
    case "credits.exhausted":
      return "Prepaid credits are exhausted.";
    case "webhook.disabled":
      return `The webhook to ${shown(data["url"])} is disabled: ${data["reason"] === "gone" ? "it answered 410 Gone" : "it has only failed for days"}.`;
    default:
      return `${type}.`;
  }
}

const shown = (value: unknown): string => (typeof value === "string" ? value : (JSON.stringify(value) ?? "–")).replace(/[\r\n]+/g, " ");
