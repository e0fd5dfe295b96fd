/**
 * `npm run test:cluster`: the gate's suites and faults of its own on a Redis Cluster of three primaries and three replicas. One file
 * after the other, since all share the cluster and some make it forget everything.
 */
import { runTool, TOOLS } from "../support/tools.ts";

/** What decides, counts, books and tells; left out is what needs one server: a wire to it, or its process to be stopped. */
const SUITES = [
  "gate/check",
  "gate/reservations",
  "gate/gauges",
  "gate/windows",
  "gate/events.test",
  "gate/corrections",
  "gate/recount",
  "counters/",
  "ledger/invariants",
  "notifications/thresholds",
];

process.env["WEIR_TEST_REDIS"] = "cluster";
const filters = SUITES.map((name) => `test/integration/${name}`);
const { code } = await runTool(TOOLS.vitest, ["run", "--no-file-parallelism", "test/cluster/", "test/fault/roll-up-steps", ...filters], {
  show: true,
});
process.exitCode = code;
