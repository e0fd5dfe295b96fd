import { hash } from "node:crypto";

/** One entry of the audit log. The entries of one account are a chain: each holds the hash of the one before it. */
export interface AuditEntry {
  /** The account it is about; null for what is about none. */
  account: string | null;
  /** Its place in the chain, from 1 on. */
  number: number;
  /** ISO 8601, UTC, to the millisecond. */
  at: string;
  /** The key that asked, its scope, and the operation it asked for; 'weir', 'system' and '' where nobody did. */
  actor: string;
  scope: string;
  operation: string;
  action: string;
  target: string;
  /** What changed, as JSON text: its bytes are what is hashed. */
  detail: string;
  /** Hex; empty for the first. */
  previousHash: string;
  hash: string;
}

/** Where a chain stands: its last entry. */
export interface ChainHead {
  account: string | null;
  number: number;
  hash: string;
}

/** The hash that an entry must have: over each member, with its length before it. weir_audit_hash (sql/migrations/0024) says the same. */
export function hashOf(entry: AuditEntry): string {
  const { account, number, at, actor, scope, operation, action, target, detail, previousHash } = entry;
  const members = [previousHash, account ?? "", String(number), at, actor, scope, operation, action, target, detail];
  return hash("sha256", members.map((member) => `${Buffer.byteLength(member)}:${member}`).join(","), "hex");
}
