import { iso } from "../kernel/window.ts";
import { type Db, reachPostgres } from "../stores/database.ts";
import { ofAccount } from "./account-reference.ts";

/** A service as its account set it up. One that was never set up exists all the same, without a worker. */
export interface Service {
  service: string;
  /** Where alarms are delivered; null for nowhere. */
  workerUrl: string | null;
  /** Epoch milliseconds. */
  createdAt: number;
}

/** The service; null when it was never set up. */
export async function findService(db: Db, account: string, service: string): Promise<Service | null> {
  const row = await reachPostgres(
    db.selectFrom("services").selectAll().where("account", "=", account).where("service", "=", service).executeTakeFirst(),
  );
  return row ? toService(row) : null;
}

/** Sets a service up, or changes it; a `workerUrl` left out (undefined) stays as it is. */
export async function upsertService(
  db: Db,
  account: string,
  service: string,
  change: { workerUrl?: string | null | undefined },
  now: number,
): Promise<Service> {
  const { workerUrl } = change;
  const statement = db
    .insertInto("services")
    .values({ account, service, worker_url: workerUrl ?? null, created_at: iso(now) })
    .onConflict((conflict) =>
      conflict.columns(["account", "service"]).doUpdateSet((eb) => ({
        worker_url: workerUrl === undefined ? eb.ref("services.worker_url") : workerUrl,
      })),
    )
    .returningAll()
    .executeTakeFirstOrThrow();
  const row = await ofAccount(account, reachPostgres(statement));
  return toService(row);
}

const toService = (row: { service: string; worker_url: string | null; created_at: Date }): Service => ({
  service: row.service,
  workerUrl: row.worker_url,
  createdAt: row.created_at.getTime(),
});
