import type { RedisFacts } from "../counters/server-facts.ts";
import type { PostgresFacts } from "../stores/migration-state.ts";
import { failed, ok, warning, type Finding } from "./finding.ts";

/** What the scripts are written for and tested with; Valkey began at 7.2. */
const REDIS_MIN = [6, 2] as const;
/** What migrations and statements are written for and tested with. */
const POSTGRES_MIN = 15;
/** Of a Redis' bound on memory: beyond it a busy hour may fill the rest, and what is full refuses every check. */
const MEMORY_HIGH_PERCENT = 80;

/** A round trip longer than this makes every check slow, milliseconds. A server beside the API answers in well under 1. */
const SLOW_MS = 20;

const ms = (n: number): string => `${n.toFixed(n < 10 ? 2 : 0)} ms a round trip`;

/** What is to be said of Postgres: its age, its distance, its schema, its walls. */
export function postgresFindings(facts: PostgresFacts): Finding[] {
  const { version, latencyMs, applied, pending, changed, unknown, walled, unsafe } = facts;
  const found = `PostgreSQL ${version}, ${ms(latencyMs)}`;
  const slow = warning("postgres", found, "Postgres is far away or overloaded: put it nearer to the API.");
  const old = warning(
    "postgres",
    found,
    `Weir is made for PostgreSQL ${POSTGRES_MIN} and later: move to one (pg_upgrade, or pg_dump and pg_restore).`,
  );
  const first = Number.parseInt(version, 10) < POSTGRES_MIN ? old : latencyMs > SLOW_MS ? slow : ok("postgres", found);
  const ran: Finding[] = [];
  if (unknown.length > 0)
    ran.push(failed("migrations", `ran and are not known here: ${unknown.join(", ")}`, "Start the newer Weir that made them."));
  if (changed.length > 0)
    ran.push(failed("migrations", `have changed since they ran: ${changed.join(", ")}`, "Install the release as it was published."));
  if (pending.length > 0)
    ran.push(failed("migrations", `have not run: ${pending.join(", ")}`, "weir migrate (a start of Weir does it first, too)."));
  if (ran.length === 0) ran.push(ok("migrations", `${applied.length} have run, the newest ${applied.at(-1) ?? "none"}`));
  const wall = walled ? ok("second wall", "tenants' requests see the rows of their account only") : NO_WALL;
  return [first, ...ran, safety(unsafe), wall];
}

/** What is committed must outlive the machine: invoices are made of it. */
function safety(unsafe: readonly string[]): Finding {
  const check = "postgres durability";
  if (unsafe.length === 0) return ok(check, "what is committed is on disk (fsync, full_page_writes, synchronous_commit)");
  const settings = unsafe.map((name) => `alter system set ${name} = on;`).join(" ");
  return warning(
    check,
    `${unsafe.join(", ")} off: a crash of its machine can lose what was booked, or the database`,
    `In psql, as an administrator: ${settings} select pg_reload_conf(); (what is set for the database alone: alter database … reset …).`,
  );
}

const NO_WALL = warning(
  "second wall",
  "Postgres has no role for tenants' requests: that they see their own rows is up to the statements alone",
  "Let an administrator of the server run `weir roles`, or that user who migrates make roles.",
);

/** What is to be said of Redis: its age, its distance, its memory, what it keeps. */
export function redisFindings(facts: RedisFacts): Finding[] {
  const { version, runId, latencyMs, usedBytes, maxBytes } = facts;
  const taken = usedBytes === null ? "" : `, ${megabytes(usedBytes)} of ${maxBytes ? megabytes(maxBytes) : "unbounded"} memory`;
  const found = `Redis ${version ?? "of unknown version"}, run ${runId.slice(0, 8)}${taken}, ${ms(latencyMs)}`;
  const slow = warning("redis", found, "Redis is far away or overloaded: every check waits for it once.");
  const old = failed("redis", found, `Weir needs Redis ${REDIS_MIN.join(".")} or later, or Valkey: move to one.`);
  const first = isOld(version) ? old : latencyMs > SLOW_MS ? slow : ok("redis", found);
  return [first, durability(facts), eviction(facts), ...memory(facts)];
}

function isOld(version: string | null): boolean {
  const [major = 0, minor = 0] = (version ?? REDIS_MIN.join(".")).split(".").map(Number);
  return major < REDIS_MIN[0] || (major === REDIS_MIN[0] && minor < REDIS_MIN[1]);
}

/** Nothing to say of a server without a bound: its machine's memory is not known here. */
function memory({ usedBytes, maxBytes }: RedisFacts): Finding[] {
  if (usedBytes === null || maxBytes === null || maxBytes === 0) return [];
  const percent = Math.floor((usedBytes * 100) / maxBytes);
  const found = `${megabytes(usedBytes)} of ${megabytes(maxBytes)} used (${percent} %)`;
  if (percent < MEMORY_HIGH_PERCENT) return [ok("redis memory", found)];
  const remedy = `Once it is full, every check is refused: redis-cli config set maxmemory ${maxBytes * 2} (and in redis.conf), or add nodes.`;
  return [percent < 100 ? warning("redis memory", found, remedy) : failed("redis memory", found, remedy)];
}

function durability({ appendOnly }: RedisFacts): Finding {
  const check = "redis durability";
  if (appendOnly === true) return ok(check, "writes an append-only file");
  const found = appendOnly === false ? "keeps nothing on disk" : "does not say whether it writes an append-only file";
  return warning(
    check,
    `${found}: if it and an API process crash within the same second, that process' last second of usage is lost; budget it was lent strands`,
    "redis-cli config set appendonly yes (and in redis.conf).",
  );
}

function eviction({ evictionPolicy, maxBytes }: RedisFacts): Finding {
  const check = "redis eviction";
  if (evictionPolicy === "noeviction") return ok(check, "drops no key (noeviction)");
  const remedy = "redis-cli config set maxmemory-policy noeviction (and in redis.conf).";
  if (evictionPolicy === null) return warning(check, "does not say what it does when memory is full", remedy);
  if (maxBytes === 0) return warning(check, `would drop counters when memory is full (${evictionPolicy}); it has no bound yet`, remedy);
  return failed(check, `drops counters when memory is full (${evictionPolicy}): each loss strands budget`, remedy);
}

const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`;
