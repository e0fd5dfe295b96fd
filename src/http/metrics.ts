import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from "prom-client";
import type { Vitals } from "../doctor/vitals.ts";
import type { Engine } from "../engine.ts";
import type { App } from "./app.ts";
import { RequestDurations } from "./request-durations.ts";
import { shared } from "./shared-answer.ts";

/** A check takes about a millisecond; 250 ms is when a silent Redis is given up. */
const CHECK_BUCKETS_S = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1];

/** What this process tells Prometheus. No label names an account, so it may be read without a key. */
export interface Metrics {
  readonly contentType: string;
  /** The figures of the moment, a quarter of a second old at most, in the text format. Those a store cannot give now are left out. */
  read(): Promise<Buffer>;
}

/** Starts counting decisions and requests. */
export function createMetrics(app: App, engine: Engine): Metrics {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });
  // Nobody needs a key here, and nobody needs to know which holes to try.
  registry.removeSingleMetric("nodejs_version_info");
  countDecisions(engine, registers);
  const requests = countRequests(app);
  const show = vitalGauges(registers);
  const read = shared(async () => {
    show(await engine.vitals());
    return Buffer.from(`${await registry.metrics()}\n${await requests.text()}`);
  });
  return { contentType: registry.contentType, read };
}

function countDecisions(engine: Engine, registers: Registry[]): void {
  const took = new Histogram({ name: "weir_check_duration_seconds", help: "Time a check took", buckets: CHECK_BUCKETS_S, registers });
  const decisions = new Counter({ name: "weir_checks_total", help: "Checks by how they ended", labelNames: ["result"], registers });
  const denials = new Counter({
    name: "weir_denials_total",
    help: "Limits that refused, by what they limit and who set them",
    labelNames: ["code", "meter", "scope", "source"],
    registers,
  });
  // Looked up once, not by their labels for each check.
  const [wereAllowed, wereDenied] = [decisions.labels("allowed"), decisions.labels("denied")];
  engine.observe({
    decided: ({ allowed, denials: refused }, tookMs) => {
      took.observe(tookMs / 1000);
      (allowed ? wereAllowed : wereDenied).inc();
      for (const { code, meter, scope, source } of refused) denials.inc({ code, meter: meter ?? "", scope, source });
    },
    failed: (code, tookMs) => {
      took.observe(tookMs / 1000);
      decisions.inc({ result: code });
    },
  });
}

function countRequests(app: App): RequestDurations {
  const durations = new RequestDurations();
  app.addHook("onResponse", ({ method, routeOptions }, reply, done) => {
    // The route's pattern, never the path: that would be a series an object.
    durations.observe(method, routeOptions.url ?? "none", reply.statusCode, reply.elapsedTime / 1000);
    done();
  });
  return durations;
}

function vitalGauges(registers: Registry[]): (vitals: Vitals) => void {
  const gauge = <L extends string>(name: string, help: string, ...labelNames: L[]): Gauge<L> =>
    new Gauge({ name, help, labelNames, registers });
  const dirty = gauge("weir_rollup_dirty_accounts", "Accounts with usage that is not booked yet");
  const lag = gauge("weir_rollup_lag_seconds", "Everything acknowledged longer ago than this is booked");
  const unbooked = gauge("weir_unbooked_accounts", "Accounts of which this process keeps a copy of its own until Postgres has it");
  const stranded = gauge("weir_stranded_quantity", "Budget lent to lost lives of Redis, in base units", "meter", "period");
  const pending = gauge("weir_outbox_pending", "Deliveries that wait for an attempt");
  const age = gauge("weir_outbox_age_seconds", "How long the oldest of them has been due");
  const up = gauge("weir_store_up", "Whether the store answers", "store");
  return (vitals) => {
    up.set({ store: "postgres" }, vitals.postgres === null ? 0 : 1);
    up.set({ store: "redis" }, vitals.redis === null ? 0 : 1);
    unbooked.set(vitals.unbookedAccounts);
    for (const one of [dirty, lag, stranded, pending, age]) one.reset();
    if (vitals.redis) {
      dirty.set(vitals.redis.dirtyAccounts);
      if (vitals.redis.rollUpLagMs !== null) lag.set(vitals.redis.rollUpLagMs / 1000);
    }
    if (vitals.postgres) {
      for (const { meter, period, quantity } of vitals.postgres.stranded) stranded.set({ meter, period }, quantity);
      pending.set(vitals.postgres.outbox.pending);
      age.set(vitals.postgres.outbox.oldestDueMs / 1000);
    }
  };
}
