import document from "./mixes.json" with { type: "json" };
import type { OperationKind, TraceOperation } from "./operation.ts";
import { seededRandom, weighted, zipf, type Random } from "./random.ts";

/** Keys of one cluster: small enough that the hot ones are seen again within a minute. */
const KEYS_PER_CLUSTER = 1_000;

/** Objects that a cluster's keys are spread over. */
const OBJECTS_PER_CLUSTER = 8;

/** What a cache's command is as a State operation. An increment reads and writes back: it is a write. */
const KIND_OF: Readonly<Record<string, OperationKind>> = {
  get: "get",
  gets: "get",
  set: "put",
  add: "put",
  cas: "put",
  incr: "put",
  delete: "delete-value",
};

interface ClusterSource {
  name: string;
  valueBytes: number;
  keyBytes: number;
  drawKind: (random: Random) => OperationKind;
  drawRank: (random: Random) => number;
}

/** Who measured the mixes, for the screen: the licence asks for the name. */
export const MIX_CREDIT = `${document.source} (${document.license})`;

/**
 * An endless stream of operations as the published clusters send them, each cluster as often as its share of all requests.
 * Deterministic in `seed`.
 */
export function mixedTraffic(seed: number): () => TraceOperation {
  const random = seededRandom(seed);
  const clusters = document.clusters.map(clusterSource);
  const drawCluster = weighted(document.clusters.map((c) => c.kqps));
  return () => {
    const cluster = clusters[drawCluster(random)] ?? clusters[0];
    if (!cluster) throw new Error("mixes.json names no cluster");
    const kind = cluster.drawKind(random);
    const rank = cluster.drawRank(random);
    return {
      kind,
      service: null,
      namespace: null,
      object: `${cluster.name}-${rank % OBJECTS_PER_CLUSTER}`,
      key: `key-${rank}`.padEnd(cluster.keyBytes, "-"),
      bytes: kind === "put" ? cluster.valueBytes : 0,
      alongside: null,
    };
  };
}

type Cluster = (typeof document.clusters)[number];

function clusterSource(cluster: Cluster): ClusterSource {
  const shares = Object.entries<number | undefined>(cluster.operations);
  const draw = weighted(shares.map(([, share]) => share ?? 0));
  const kinds = shares.map(([command]) => KIND_OF[command] ?? "get");
  return {
    name: `cluster-${cluster.cluster}`,
    valueBytes: cluster.valueBytes,
    keyBytes: cluster.keyBytes,
    drawKind: (random) => kinds[draw(random)] ?? "get",
    drawRank: zipf(KEYS_PER_CLUSTER, cluster.zipfAlpha),
  };
}
