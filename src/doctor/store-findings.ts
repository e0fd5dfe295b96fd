import type { RedisFacts } from "../counters/server-facts.ts";
import type { PostgresFacts } from "../stores/migration-state.ts";
import { failed, ok, warning, type Finding } from "./finding.ts";

/** A round trip longer than this makes every check slow, milliseconds. A server beside the API answers in well under 1. */
const SLOW_MS = 20;

const ms = (n: number): string => `${n.toFixed(n < 10 ? 2 : 0)} ms a round trip`;

export function postgresFindings(facts: PostgresFacts): Finding[] {
  const { version, latencyMs, applied, pending, changed, unknown, walled } = facts;
  const found = `PostgreSQL ${version}, ${ms(latencyMs)}`;
  const slow = warning("postgres", found, "Postgres is far away or overloaded: put it nearer to the API.");
  const findings = [latencyMs > SLOW_MS ? slow : ok("postgres", found)];
  if (unknown.length > 0)
    findings.push(failed("migrations", `ran and are not known here: ${unknown.join(", ")}`, "Start the newer Weir that made them."));
  if (changed.length > 0)
    findings.push(failed("migrations", `have changed since they ran: ${changed.join(", ")}`, "Install the release as it was published."));
  if (pending.length > 0)
    findings.push(failed("migrations", `have not run: ${pending.join(", ")}`, "Start Weir again: it migrates first."));
  if (findings.length === 1) findings.push(ok("migrations", `${applied.length} have run, the newest ${applied.at(-1) ?? "none"}`));
  findings.push(walled ? ok("second wall", "tenants' requests see the rows of their account only") : NO_WALL);
  return findings;
}

const NO_WALL = warning(
  "second wall",
  "Postgres has no role for tenants' requests: that they see their own rows is up to the statements alone",
  "Let an administrator of the server run `weir roles`, or that user who migrates make roles.",
);

export function redisFindings(facts: RedisFacts): Finding[] {
  const { version, runId, latencyMs, usedBytes, maxBytes } = facts;
  const memory = usedBytes === null ? "" : `, ${megabytes(usedBytes)} of ${maxBytes ? megabytes(maxBytes) : "unbounded"} memory`;
  const found = `Redis ${version ?? "of unknown version"}, run ${runId.slice(0, 8)}${memory}, ${ms(latencyMs)}`;
  const slow = warning("redis", found, "Redis is far away or overloaded: every check waits for it once.");
  return [latencyMs > SLOW_MS ? slow : ok("redis", found), durability(facts), eviction(facts)];
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
