import { iso } from "../kernel/window.ts";
import { mintSecret } from "../notifications/signature.ts";
import { type Db, loadQuery, reachPostgres, runQuery } from "../stores/database.ts";
import { ofAccount } from "./account-reference.ts";
import type { Namespace } from "./namespace.ts";
import { busy } from "./waiting-line.ts";

/** Attempts to create against other processes' creations in the same account; each loss means that one of them won. */
const ATTEMPTS_MAX = 100;

const CREATE = loadQuery("create-namespace");
const COLUMNS = ["account", "number", "service", "name", "created_at"] as const;

interface NamespaceRow {
  account: string;
  number: bigint;
  service: string;
  name: string;
  created_at: Date;
}

export type Creation =
  /** The secret that signs its alarms is in no other answer. */
  | { outcome: "created"; namespace: Namespace; secret: Buffer }
  | { outcome: "taken" }
  /** `live` classes are there already. */
  | { outcome: "full"; live: number };

/** Creates a namespace; at most `classLimit` live ones an account (null: no limit), exactly, whatever runs at once. */
export async function insertNamespace(
  db: Db,
  wanted: Pick<Namespace, "account" | "service" | "name">,
  classLimit: number | null,
  now: number,
): Promise<Creation> {
  const { account, service, name } = wanted;
  const secret = mintSecret();
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
    const parameters = [account, service, name, iso(now), classLimit, secret.toString("base64")];
    const [row] = await ofAccount(account, runQuery<{ number: bigint | null; live: bigint; taken: boolean }>(db, CREATE, parameters));
    if (!row) continue;
    if (row.number !== null) return { outcome: "created", namespace: { ...wanted, number: Number(row.number), createdAt: now }, secret };
    if (row.taken) return { outcome: "taken" };
    if (classLimit !== null && Number(row.live) >= classLimit) return { outcome: "full", live: Number(row.live) };
  }
  throw busy("Too many namespaces are being created at once");
}

/** The live namespace of that name or number; null when there is none in the service. */
export async function findNamespace(
  db: Db,
  where: { account: string; service: string } & ({ name: string } | { number: number }),
): Promise<Namespace | null> {
  const query = db
    .selectFrom("state_namespaces")
    .select(COLUMNS)
    .where("account", "=", where.account)
    .where("service", "=", where.service)
    .where("deleted_at", "is", null);
  const one = "name" in where ? query.where("name", "=", where.name) : query.where("number", "=", BigInt(where.number));
  const row = await reachPostgres(one.executeTakeFirst());
  return row ? toNamespace(row) : null;
}

/** At most `limit` live namespaces of a service, newest first, below the number `before` (null: from the newest). */
export async function selectNamespaces(
  db: Db,
  where: { account: string; service: string; before: number | null },
  limit: number,
): Promise<Namespace[]> {
  const query = db
    .selectFrom("state_namespaces")
    .select(COLUMNS)
    .where("account", "=", where.account)
    .where("service", "=", where.service)
    .where("deleted_at", "is", null)
    .orderBy("number", "desc")
    .limit(limit);
  const rows = await reachPostgres((where.before === null ? query : query.where("number", "<", BigInt(where.before))).execute());
  return rows.map(toNamespace);
}

/** Gives a namespace a new secret; the present one signs beside it until `previousUntil`. Null when the namespace has ended. */
export async function rotateNamespaceSecret(db: Db, { account, number }: Namespace, previousUntil: number): Promise<Buffer | null> {
  const secret = mintSecret();
  const { numUpdatedRows } = await reachPostgres(
    db
      .updateTable("state_namespaces")
      .set((e) => ({ secret, previous_secret: e.ref("secret"), previous_secret_until: iso(previousUntil) }))
      .where("account", "=", account)
      .where("number", "=", BigInt(number))
      .where("deleted_at", "is", null)
      .executeTakeFirst(),
  );
  return numUpdatedRows > 0n ? secret : null;
}

/** Ends a namespace's life; false when it had ended already. */
export async function endNamespace(db: Db, namespace: Namespace, now: number): Promise<boolean> {
  const result = await reachPostgres(
    db
      .updateTable("state_namespaces")
      .set({ deleted_at: iso(now) })
      .where("account", "=", namespace.account)
      .where("number", "=", BigInt(namespace.number))
      .where("deleted_at", "is", null)
      .executeTakeFirst(),
  );
  return result.numUpdatedRows > 0n;
}

/** True while the namespace lives. */
export async function isLive(db: Db, namespace: Namespace): Promise<boolean> {
  const { account, service, number } = namespace;
  return (await findNamespace(db, { account, service, number })) !== null;
}

const toNamespace = (row: NamespaceRow): Namespace => ({
  account: row.account,
  number: Number(row.number),
  service: row.service,
  name: row.name,
  createdAt: row.created_at.getTime(),
});
