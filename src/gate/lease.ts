import type { Header } from "../counters/layout.ts";
import type { LeaseOperation } from "../counters/lease-call.ts";
import { returnedLease } from "../counters/lease-record.ts";
import type { Catalog } from "../catalog/catalog.ts";
import { validationFailed } from "../kernel/errors.ts";
import { ACCOUNT_PATTERN, newId } from "../kernel/ids.ts";
import type { LeaseRow } from "../ledger/lease-store.ts";
import type { CatalogSource } from "./loaded-account.ts";
import { LEASE_TTL_SECONDS_DEFAULT, type LeaseRequest, type LeaseSettle } from "./lease-request.ts";
import { canonical, countersOf, hash128, hourOf } from "./operation.ts";

const NAME_LENGTH = 20;
/** Below every number that a holder may give. */
const LOOK_SEQ = -1;

/** A lease's account, and its name within it: the source of what it spends. */
export interface LeaseName {
  account: string;
  lease: string;
}

/** `lse_<account>.<name>`: the account is in it, so that settling finds its slot without being told. */
export const leaseId = ({ account, lease }: LeaseName): string =>
  `lse_${Buffer.from(account).toString("base64url")}.${lease.slice("lse_".length)}`;

/** What a lease's id names, null for a text that is no such id. */
export function readLeaseId(id: string): LeaseName | null {
  const [, encoded, name] = /^lse_([A-Za-z0-9_-]{2,88})\.([0-9A-Za-z]{20})$/.exec(id) ?? [];
  if (encoded === undefined || name === undefined) return null;
  const account = Buffer.from(encoded, "base64url").toString();
  // It becomes part of a Redis key, where another text would name another account's slot.
  return ACCOUNT_PATTERN.test(account) ? { account, lease: `lse_${name}` } : null;
}

/** Makes a request what the script takes. Throws `validation_failed`; reads nothing and lends nothing. */
export function toGrant({ catalog, version }: CatalogSource, request: LeaseRequest, now: number): LeaseOperation {
  const { idempotencyKey, ...body } = request;
  const name = idempotencyKey === undefined ? newId("lse") : `lse_${hash128(idempotencyKey).toString("hex").slice(0, NAME_LENGTH)}`;
  return {
    account: request.account,
    lease: name,
    now,
    hour: hourOf(now),
    catalogVersion: version,
    kind: "grant",
    seq: null,
    ttlMs: (request.ttlSeconds ?? LEASE_TTL_SECONDS_DEFAULT) * 1_000,
    requestHash: hash128(canonical(body)).toString("hex"),
    fair: request.fair ?? false,
    known: null,
    totals: [],
    asks: countersOf(catalog, request.meters, "meters"),
  };
}

/** The same for a settle; a null request returns what is not spent and settles nothing. */
export function toSettle({ catalog, version }: CatalogSource, name: LeaseName, request: LeaseSettle | null, now: number): LeaseOperation {
  return {
    ...name,
    now,
    hour: hourOf(now),
    catalogVersion: version,
    kind: request === null || request.close === true ? "return" : "settle",
    seq: request?.seq ?? null,
    ttlMs: 0,
    requestHash: "",
    fair: request?.fair ?? false,
    known: null,
    totals: request === null ? [] : totalsOf(catalog, request),
    asks: request?.renew && !request.close ? countersOf(catalog, request.renew, "renew") : [],
  };
}

/** Only tells how a lease stands: a number that is always seen. */
export const toLook = (operation: LeaseOperation): LeaseOperation => ({
  ...operation,
  kind: "settle",
  seq: LOOK_SEQ,
  totals: [],
  asks: [],
});

/** What was spent, by place and meter: `service/namespace/meter` → in all. What no place claims was spent in none. */
function totalsOf(catalog: Catalog, { used, places = [] }: LeaseSettle): [label: string, total: number][] {
  const rest = new Map(countersOf(catalog, used, "used"));
  const totals = new Map<string, number>();
  places.forEach(({ service = "", namespace = "", used: here }, i) => {
    for (const [meter, quantity] of countersOf(catalog, here, `places.${i}.used`)) {
      const label = `${service}/${namespace}/${meter}`;
      totals.set(label, (totals.get(label) ?? 0) + quantity);
      rest.set(meter, (rest.get(meter) ?? 0) - quantity);
    }
  });
  for (const [meter, quantity] of rest) {
    if (quantity < 0) throw validationFailed([{ path: `used.${meter}`, message: "is less than what the places claim" }]);
    if (quantity > 0) totals.set(`//${meter}`, (totals.get(`//${meter}`) ?? 0) + quantity);
  }
  return [...totals].filter(([, total]) => total > 0);
}

/** The hour bucket that usage at `hour` is booked in, as the script says it. */
export const bucketAt = (header: Header, hour: number): number => Math.max(hour, header.day.start, header.month.start);

/** What the script needs of a lease that it does not know and Postgres does. */
export function knownLease(row: LeaseRow, totals: Map<string, number>): NonNullable<LeaseOperation["known"]> {
  return { epoch: row.epoch, record: returnedLease({ ...row, exceeded: false, totals }) };
}
