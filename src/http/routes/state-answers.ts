import type { z } from "zod";
import { iso } from "../../kernel/window.ts";
import { secretText } from "../../notifications/signature.ts";
import { base64Of, textOf } from "../../state/encoding.ts";
import { namespaceId } from "../../state/namespace.ts";
import type { State } from "../../state/state.ts";
import type * as schemas from "./state-schemas.ts";

type Result<Name extends keyof State> = State[Name] extends (...parameters: never[]) => infer Answered ? Awaited<Answered> : never;
type Answer<Name extends keyof typeof schemas> = z.input<(typeof schemas)[Name]>;

const toNamespace = (namespace: Result<"listNamespaces">["items"][number]): Answer<"namespaceAnswer"> => ({
  id: namespaceId(namespace),
  name: namespace.name,
  service: namespace.service,
  createdAt: iso(namespace.createdAt),
  storageBytes: namespace.storageBytes,
});

export const toCreatedNamespace = ({ secret, ...namespace }: Result<"createNamespace">): Answer<"namespaceCreatedAnswer"> => ({
  ...toNamespace(namespace),
  secret: secretText(secret),
});

export const toRotatedNamespace = ({ secret, previousUntil, ...namespace }: Result<"rotateSecret">): Answer<"namespaceRotatedAnswer"> => ({
  id: namespaceId(namespace),
  name: namespace.name,
  service: namespace.service,
  secret: secretText(secret),
  previousSecretUntil: iso(previousUntil),
});

export const toNamespaces = ({ items, nextCursor }: Result<"listNamespaces">): Answer<"namespacesAnswer"> => ({
  namespaces: items.map(toNamespace),
  nextCursor,
});

export const toDeletedNamespace = (namespace: Result<"deleteNamespace">): Answer<"namespaceDeletedAnswer"> => ({
  id: namespaceId(namespace),
  name: namespace.name,
  service: namespace.service,
  deleted: true,
});

export const toObjects = ({ items, nextCursor }: Result<"listObjects">): Answer<"objectsAnswer"> => ({
  objects: items.map((object) => ({ ...object, createdAt: iso(object.createdAt), lastSeenAt: iso(object.lastSeenAt) })),
  nextCursor,
});

export const toKeys = ({ items, nextCursor }: Result<"listKeys">): Answer<"keysAnswer"> => ({
  keys: items.map(toEntry),
  listComplete: nextCursor === null,
  nextCursor,
});

export const toStored = ({ address, entry }: Pick<Result<"put">, "address" | "entry">): Answer<"storedAnswer"> => ({
  namespace: address.namespace.name,
  object: address.object,
  entry: toEntry(entry),
});

export const toValue = (read: Result<"get">): Answer<"valueAnswer"> => ({
  ...toStored(read),
  valueText: textOf(read.value),
  valueBase64: base64Of(read.value),
});

export const toDeletedValue = ({ address, deleted }: Result<"delete">, key: string): Answer<"valueDeletedAnswer"> => ({
  namespace: address.namespace.name,
  object: address.object,
  key,
  deleted,
});

export const toAlarm = ({ address, alarm }: Result<"getAlarm">): Answer<"alarmAnswer"> => ({
  namespace: address.namespace.name,
  object: address.object,
  scheduledAt: alarm && iso(alarm.scheduledAt),
  scheduledAtUnixMs: alarm && alarm.scheduledAt,
  nextAttemptAt: alarm && iso(alarm.nextAttemptAt),
  retryCount: alarm?.retryCount ?? 0,
  lastError: alarm?.trouble ?? null,
});

export const toDeletedAlarm = ({ address, deleted }: Result<"deleteAlarm">): Answer<"alarmDeletedAnswer"> => ({
  namespace: address.namespace.name,
  object: address.object,
  deleted,
});

export const toService = (service: Result<"putService">): Answer<"serviceAnswer"> => ({ ...service, createdAt: iso(service.createdAt) });

const toEntry = (entry: Result<"put">["entry"]) => ({ ...entry, createdAt: iso(entry.createdAt), updatedAt: iso(entry.updatedAt) });
