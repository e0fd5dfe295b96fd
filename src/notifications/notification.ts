/** What an account is told. Dotted names of letters, digits and underscores, as Standard Webhooks asks. */
export const NOTIFICATION_TYPES = [
  "usage.threshold_reached",
  "usage.limit_reached",
  "usage.window_reset",
  "usage.rate_alert",
  "subscription.changed",
  "invoice.finalized",
  "credits.low",
  "credits.exhausted",
  "webhook.disabled",
] as const;

export type NotificationType = (typeof NOTIFICATION_TYPES)[number];

/** Sent to one endpoint when somebody asks for it; it is no notification. */
export const TEST_TYPE = "webhook.test" as const;

/** Facts as JSON, at most 16 KiB; `account` is added to them. */
export type NotificationData = Readonly<Record<string, unknown>>;

export interface Notification {
  /** `msg_…`: also the `webhook-id` of its deliveries. */
  id: string;
  type: string;
  data: NotificationData;
  createdAt: number;
}
