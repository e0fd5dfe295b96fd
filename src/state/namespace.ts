/** A State class of one account's service. Its id is `state_namespace_<number>`. */
export interface Namespace {
  account: string;
  /** Counts from 1 per account and is never used again. */
  number: number;
  service: string;
  name: string;
  /** Epoch milliseconds. */
  createdAt: number;
}

const ID_PREFIX = "state_namespace_";

export const namespaceId = (namespace: Pick<Namespace, "number">): string => `${ID_PREFIX}${namespace.number}`;

/** The number in `state_namespace_<n>`; null for a name. */
export function namespaceNumber(reference: string): number | null {
  if (!reference.startsWith(ID_PREFIX)) return null;
  const number = Number(reference.slice(ID_PREFIX.length));
  return Number.isSafeInteger(number) && number > 0 ? number : null;
}
