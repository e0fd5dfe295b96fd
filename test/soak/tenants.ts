import { sleep } from "../../src/kernel/clock.ts";
import type { Limit } from "../support/booked.ts";
import { ADMIN_KEY, type Stage } from "./stage.ts";

/** What moves each account's figures. Leased ones are checked through `weir/client` alone, the others by requests alone. */
const OPEN = 500;
const TIGHT = 60;
const LEASED = 16;
const LEASED_TIGHT = 8;
const AT_ONCE = 16;
/** What is set up is asked for again while a store is late, as it may be on a busy machine. */
const TRIES_MAX = 20;
const AGAIN_MS = 500;

export const REQUESTS = "state_requests";
export const ROWS = "state_sqlite_rows_written";
export const STORED = "state_sqlite_storage_bytes";

/** An account, and what its callers know of it: the truth that Weir is held against. */
export interface Tenant {
  account: string;
  leased: boolean;
  /** Hard ones; of an account without, nothing may be denied. */
  limits: readonly Limit[];
  /** The most it may store, bytes; null for no limit of its own. */
  storedMax: number | null;
  /** By meter: what was answered as allowed, and what may or may not have been counted, since its caller has no key to ask again with. */
  acknowledged: Map<string, number>;
  unknown: Map<string, number>;
  allowed: number;
  denied: number;
}

export const add = (to: Map<string, number>, usage: Readonly<Record<string, number>>): void => {
  for (const [meter, quantity] of Object.entries(usage)) to.set(meter, (to.get(meter) ?? 0) + quantity);
};

const tenant = (account: string, of: Partial<Tenant> = {}): Tenant => ({
  account,
  leased: false,
  limits: [],
  storedMax: null,
  acknowledged: new Map(),
  unknown: new Map(),
  allowed: 0,
  denied: 0,
  ...of,
});

const range = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

/** Accounts that nothing limits, some of them leased. */
export const openTenants = (): Tenant[] => [
  ...range(OPEN).map((i) => tenant(`open_${i}`)),
  ...range(LEASED).map((i) => tenant(`leased_${i}`, { leased: true })),
];

/** How much one account is going to ask for, when nothing denies it. */
export interface Demand {
  tight: Record<typeof REQUESTS | typeof ROWS | typeof STORED, number>;
  leased: number;
}

/** Accounts with hard limits, which they reach one after the other all through the soak: the last, just before its end. */
export function tightTenants({ tight, leased }: Demand): Tenant[] {
  const reached = (i: number, of: number, demand: number): number => Math.max(1, Math.round((demand * (i + 1)) / (of + 1)));
  return [
    ...range(TIGHT).map((i) => {
      const [requests, rows] = [reached(i, TIGHT, tight[REQUESTS]), reached(TIGHT - 1 - i, TIGHT, tight[ROWS])];
      const limits: Limit[] = [
        { meter: REQUESTS, period: i % 2 === 0 ? "day" : "month", limit: requests },
        { meter: ROWS, period: "month", limit: rows },
      ];
      return tenant(`tight_${i}`, { limits, storedMax: reached(i, TIGHT, tight[STORED]) });
    }),
    ...range(LEASED_TIGHT).map((i) =>
      tenant(`leased_tight_${i}`, {
        leased: true,
        limits: [{ meter: REQUESTS, period: "day", limit: reached(i, LEASED_TIGHT, leased) }],
      }),
    ),
  ];
}

/** How many of each there are, for whoever reckons what one asks for. */
export const COUNTS = { open: OPEN, tight: TIGHT, leased: LEASED, leasedTight: LEASED_TIGHT };

/** Makes the accounts, on a plan that limits nothing, and sets their limits. */
export async function furnish(stage: Stage, tenants: readonly Tenant[]): Promise<void> {
  for (let i = 0; i < tenants.length; i += AT_ONCE) await Promise.all(tenants.slice(i, i + AT_ONCE).map((one) => put(stage, one)));
}

async function put(stage: Stage, { account, limits, storedMax }: Tenant): Promise<void> {
  const send = async (path: string, body: unknown): Promise<void> => {
    for (let tries = 1; ; tries++) {
      const { status, text } = await stage.balancer.ask({ method: "PUT", path, key: ADMIN_KEY, account, body: JSON.stringify(body) });
      if (status < 300) return;
      if (status !== 503 || tries === TRIES_MAX) throw new Error(`Setting up failed: ${status} ${text}`);
      await sleep(AGAIN_MS);
    }
  };
  await send(`/v1/accounts/${account}`, { plan: "pro" });
  const stored: Limit[] = storedMax === null ? [] : [{ meter: STORED, period: "month", limit: storedMax }];
  for (const { meter, period, limit } of [...limits, ...stored]) await send(`/v1/usage/caps/${meter}`, { period, capValue: limit });
}
