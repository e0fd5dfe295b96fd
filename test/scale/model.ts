import type { Assumptions } from "./assumptions.ts";
import { busyCount, busyShare, popularity, slices, touched, type RequestMix, type Slice } from "./demand.ts";
import type { Measured } from "./measured.ts";

const SECONDS_PER_HOUR = 3_600;
/** Of a month of 30.4 days. */
const HOURS_PER_MONTH = 730;
const BYTES_PER_GB = 1e9;
const BATCH = 100;

export interface Load {
  accounts: number;
  objects: number;
  checksPerSecond: number;
  /** Zipf's alpha of the accounts' popularity; null takes each mix' own. */
  skew: number | null;
}

export interface Inputs {
  load: Load;
  mixes: readonly RequestMix[];
  measured: Measured;
  assumptions: Assumptions;
}

/** Processes of one kind, the machines they fill, and why there are so many. */
export interface Tier {
  processes: number;
  memoryGb: number;
  machines: number;
}

export interface Plan {
  /** How the data plane asks. */
  way: string;
  /** Checks a second that reach Weir, and leases renewed a second in place of the others. */
  asked: number;
  renewed: number;
  api: Tier;
  redis: Tier;
  worker: Tier;
  postgres: Tier;
  machines: number;
  memoryGb: number;
  diskGb: number;
  usdPerMonth: number;
  usdPerMillionChecks: number;
  /** Of a check that goes to Weir, milliseconds; null where none does. */
  p99Ms: number | null;
  /** Checks a second of the busiest account that reach Weir, and the Redis slots its budget must be split over. */
  hottestPerSecond: number;
  hottestSlots: number;
}

/** What does not depend on how the data plane asks. */
export interface Ledger {
  writeShare: number;
  redisGb: number;
  rowsPerSecond: number;
  bucketRowsPerHour: number;
  diskGb: number;
  /** Hours that one process needs to close every account's month. */
  closeHours: number;
}

/** What reaches Weir of each slice, checks a second. */
interface Arrival {
  checks: (slice: Slice, rate: number) => number;
  renewals: (slice: Slice, rate: number) => number;
  perProcess: number;
  /** Milliseconds that one API process is busy with one request. */
  requestMs: number;
}

/** A plan for each way a data plane may ask. */
export function plans(inputs: Inputs): { ledger: Ledger; plans: Plan[] } {
  const ledger = ledgerOf(inputs);
  return { ledger, plans: Object.entries(waysOf(inputs)).map(([way, arrival]) => planOf(inputs, ledger, way, arrival)) };
}

const sum = <T>(items: readonly T[], of: (item: T) => number): number => items.reduce((total, item) => total + of(item), 0);
const accountsOf = ({ load }: Inputs, slice: Slice) => popularity(Math.max(1, Math.round(load.accounts * slice.share)), slice.zipfAlpha);

function waysOf({ measured, assumptions, ...inputs }: Inputs): Record<string, Arrival> {
  const every = { checks: (_: Slice, rate: number) => rate, renewals: () => 0 };
  const spread = assumptions.processesPerAccount;
  const from = assumptions.leaseFromChecksPerSecond;
  const accounts = (slice: Slice) => accountsOf({ measured, assumptions, ...inputs }, slice);
  const one = { perProcess: measured.httpChecksPerSecond, requestMs: 1_000 / measured.httpChecksPerSecond };
  return {
    "one request a check": { ...every, ...one },
    "a hundred checks a request": {
      ...every,
      perProcess: measured.batchedDecisionsPerSecond,
      requestMs: (1_000 * BATCH) / measured.batchedDecisionsPerSecond,
    },
    "leases (weir/client)": {
      ...one,
      // What names a size of storage always goes to Weir; of the rest, what comes to one process often enough stays in its memory.
      checks: (slice, rate) => {
        const reads = rate * (1 - slice.writeShare);
        return rate * slice.writeShare + reads * (1 - busyShare(accounts(slice), reads / spread, from));
      },
      // Each holder of an account settles it once a second.
      renewals: (slice, rate) => spread * busyCount(accounts(slice), (rate * (1 - slice.writeShare)) / spread, from),
    },
  };
}

function ledgerOf(inputs: Inputs): Ledger {
  const { load, mixes, measured, assumptions } = inputs;
  const parts = slices(mixes, load.skew);
  const spread = assumptions.processesPerAccount;
  const rows = (seconds: number): number =>
    sum(parts, (slice) => {
      const draws = (load.checksPerSecond * slice.share * seconds) / spread;
      return touched(accountsOf(inputs, slice), draws) * spread * assumptions.metersPerCheck;
    });
  const sizes = sum(parts, (slice) => {
    const objects = popularity(Math.max(1, Math.round(load.objects * slice.share)), slice.zipfAlpha);
    return touched(objects, load.checksPerSecond * slice.share * slice.writeShare * assumptions.bookingLagSeconds);
  });
  const keys = load.checksPerSecond * assumptions.keyedShare * assumptions.keyKeptHours * SECONDS_PER_HOUR;
  const bucketRowsPerHour = rows(SECONDS_PER_HOUR);
  const buckets = bucketRowsPerHour * HOURS_PER_MONTH * assumptions.monthsKept;
  return {
    writeShare: sum(parts, ({ share, writeShare }) => share * writeShare),
    redisGb:
      (load.accounts * measured.redisBytesPerAccount +
        load.objects * measured.redisBytesPerObject +
        keys * measured.redisBytesPerIdempotencyKey) /
      BYTES_PER_GB,
    rowsPerSecond: (rows(assumptions.bookingLagSeconds) + sizes) / assumptions.bookingLagSeconds,
    bucketRowsPerHour,
    diskGb: (buckets * measured.bytesPerBucketRow + load.objects * measured.bytesPerObjectRow) / BYTES_PER_GB,
    closeHours: load.accounts / measured.closedAccountsPerSecond / SECONDS_PER_HOUR,
  };
}

function planOf(inputs: Inputs, ledger: Ledger, way: string, arrival: Arrival): Plan {
  const { load, mixes, measured, assumptions } = inputs;
  const { utilization, replicas, memoryFill, machine } = assumptions;
  const parts = slices(mixes, load.skew);
  const asked = sum(parts, (slice) => arrival.checks(slice, load.checksPerSecond * slice.share));
  const renewed = sum(parts, (slice) => arrival.renewals(slice, load.checksPerSecond * slice.share));
  const each = 1 + replicas;

  // A renewal is taken to cost a check: one script, and a place in a request.
  const api = asked / arrival.perProcess + renewed / measured.batchedDecisionsPerSecond;
  const primaries = Math.max(
    Math.ceil((asked + renewed) / measured.redisChecksPerSecond / utilization),
    Math.ceil(ledger.redisGb / assumptions.gbPerPrimary),
  );
  const booking = Math.ceil(ledger.rowsPerSecond / measured.bookedRowsPerSecond / utilization);
  const tiers = {
    api: tier(assumptions, Math.ceil(api / utilization), 1, 0),
    redis: tier(assumptions, primaries * each, 1, (ledger.redisGb * each) / memoryFill),
    worker: tier(assumptions, booking, 1, 0),
    postgres: tier(assumptions, booking * each, assumptions.coresPerPostgres, 0),
  };
  const all = Object.values(tiers);
  const machines = sum(all, (t) => t.machines);
  const diskGb = ledger.diskGb * each;
  const usdPerMonth = machines * machine.usdPerHour * HOURS_PER_MONTH + diskGb * assumptions.usdPerGbMonth;
  const hottestPerSecond = hottest(inputs, arrival);
  return {
    way,
    asked,
    renewed,
    ...tiers,
    machines,
    memoryGb: machines * machine.memoryGb,
    diskGb,
    usdPerMonth,
    usdPerMillionChecks: usdPerMonth / (load.checksPerSecond * HOURS_PER_MONTH * SECONDS_PER_HOUR) / 1e-6,
    p99Ms: asked === 0 ? null : p99Ms(inputs, arrival.requestMs),
    hottestPerSecond,
    hottestSlots: Math.max(1, Math.ceil(hottestPerSecond / measured.redisChecksPerSecond / utilization)),
  };
}

function tier({ machine }: Assumptions, processes: number, coresEach: number, memoryGb: number): Tier {
  return {
    processes,
    memoryGb,
    machines: Math.max(Math.ceil((processes * coresEach) / machine.cores), Math.ceil(memoryGb / machine.memoryGb)),
  };
}

/** The busiest account's checks that reach Weir: its writes, and its reads unless they are leased. */
function hottest(inputs: Inputs, arrival: Arrival): number {
  return Math.max(
    ...slices(inputs.mixes, inputs.load.skew).map((slice) => {
      const rate = inputs.load.checksPerSecond * slice.share * (accountsOf(inputs, slice)[0]?.probability ?? 0);
      const leased = arrival.renewals(slice, inputs.load.checksPerSecond * slice.share) > 0;
      return leased ? rate * slice.writeShare : rate;
    }),
  );
}

/** Two trips, a quiet check, and the waits in the two lines before it. Percentiles are added up, which is more than their sum's. */
function p99Ms({ measured, assumptions }: Inputs, requestMs: number): number {
  const { utilization, tripP99Ms } = assumptions;
  const wait = (serviceMs: number): number => waitP99Ms(serviceMs, utilization);
  return 2 * tripP99Ms + measured.quietCheckP99Ms + requestMs + wait(requestMs) + wait(1_000 / measured.redisChecksPerSecond);
}

/** How long one of a hundred waits for a server at `utilization`, if arrivals and service are random (M/M/1). */
export function waitP99Ms(serviceMs: number, utilization: number): number {
  return Math.max(0, (serviceMs * Math.log(100 * utilization)) / (1 - utilization));
}
