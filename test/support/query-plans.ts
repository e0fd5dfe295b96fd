import { open, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import postgres from "postgres";

/** One scan that Postgres really made of a table of its own or of one partition. */
export interface Scan {
  /** A partition goes by the name of its table. */
  table: string;
  partition: string | null;
  node: string;
  index: string | null;
  /** What the index was asked; null where it was read from end to end. */
  condition: string | null;
  /** Rows it answered, over all its runs, and rows that it read and threw away. */
  rows: number;
  removed: number;
}

/** One statement as Postgres ran it, inside a function too. */
export interface RanStatement {
  text: string;
  scans: Scan[];
}

/** Listens to how a database runs what it is sent, from when this was made. */
export interface PlanRecorder {
  /** All statements since the last call. Close the connections before: the last statement of one is told when it ends. */
  read(): Promise<RanStatement[]>;
}

interface PlanNode {
  "Node Type": string;
  "Relation Name"?: string;
  "Index Name"?: string;
  "Index Cond"?: string;
  "Actual Loops"?: number;
  "Actual Rows"?: number;
  "Rows Removed by Filter"?: number;
  Plans?: PlanNode[];
}

/** Plans are told by the module auto_explain, which Postgres brings, to connections that are opened from now on. */
const SETTINGS = {
  session_preload_libraries: "auto_explain",
  "auto_explain.log_min_duration": "0",
  "auto_explain.log_nested_statements": "on",
  "auto_explain.log_analyze": "on",
  "auto_explain.log_timing": "off",
  "auto_explain.log_format": "json",
  // A few thousand rows are read faster from end to end: what is asked here is whether there is another way.
  enable_seqscan: "off",
  enable_hashjoin: "off",
  enable_mergejoin: "off",
};

/** Has every statement on `databaseUrl` explained as it runs, in the log of its server, which must be one that tests have started. */
export async function recordPlans(databaseUrl: string): Promise<PlanRecorder> {
  const sql = postgres(databaseUrl, { max: 1 });
  try {
    const name = new URL(databaseUrl).pathname.slice(1);
    for (const [setting, value] of Object.entries(SETTINGS)) await sql.unsafe(`alter database ${name} set ${setting} = '${value}'`);
    const [found] = await sql<{ data_directory: string }[]>`show data_directory`;
    const log = join(dirname(found?.data_directory ?? ""), "postgres.log");
    let at = (await stat(log)).size;
    return {
      read: async () => {
        const text = await textFrom(log, at);
        at += text.length;
        return statements(text.toString("utf8"));
      },
    };
  } finally {
    await sql.end();
  }
}

async function textFrom(path: string, offset: number): Promise<Buffer> {
  const file = await open(path);
  try {
    const { size } = await file.stat();
    const buffer = Buffer.alloc(size - offset);
    await file.read(buffer, 0, buffer.length, offset);
    return buffer;
  } finally {
    await file.close();
  }
}

/** An entry begins with `… plan:`; its other lines are set in by a tab. */
function statements(log: string): RanStatement[] {
  return [...log.matchAll(/ plan:\n((?:\t.*\n)+)/g)].map(([, lines = ""]) => {
    const entry = JSON.parse(lines.replaceAll(/^\t/gm, "")) as { "Query Text": string; Plan: PlanNode };
    return { text: entry["Query Text"], scans: scansOf(entry.Plan) };
  });
}

function scansOf(node: PlanNode): Scan[] {
  const below = node.Plans ?? [];
  if ((node["Actual Loops"] ?? 0) === 0) return [];
  if (node["Node Type"] !== "Bitmap Heap Scan") return [...(isScan(node) ? [scanOf(node, [node])] : []), ...below.flatMap(scansOf)];
  // The table is read here, the indexes are asked below.
  return [scanOf(node, below.flatMap(leaves))];
}

const isScan = (node: PlanNode): boolean => node["Relation Name"] !== undefined && node["Node Type"].endsWith("Scan");
const leaves = (node: PlanNode): PlanNode[] => (node.Plans ? node.Plans.flatMap(leaves) : [node]);

function scanOf(node: PlanNode, asked: readonly PlanNode[]): Scan {
  const relation = node["Relation Name"] ?? "";
  const [, table] = /^(usage_buckets)_(?:\d{6}|default)$/.exec(relation) ?? [];
  const isEach = asked.every((one) => one["Index Cond"] !== undefined);
  return {
    table: table ?? relation,
    partition: table === undefined ? null : relation,
    node: node["Node Type"],
    index: asked.flatMap((one) => one["Index Name"] ?? []).join(", ") || null,
    condition: isEach ? asked.map((one) => one["Index Cond"]).join(" / ") : null,
    rows: Math.round((node["Actual Rows"] ?? 0) * (node["Actual Loops"] ?? 0)),
    removed: node["Rows Removed by Filter"] ?? 0,
  };
}
