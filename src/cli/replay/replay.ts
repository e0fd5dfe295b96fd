import { randomBase62 } from "../../kernel/ids.ts";
import { monotonicMs } from "../../kernel/clock.ts";
import { Lanes } from "../../replay/lanes.ts";
import type { TraceOperation } from "../../replay/operation.ts";
import { Tally } from "../../replay/tally.ts";
import { readTrace, UnknownFormatError, type Trace } from "../../replay/trace.ts";
import { WRITTEN_KEYS_MAX } from "../../replay/written-keys.ts";
import { readCatalogOrDefault } from "../catalog-source.ts";
import { accountOf, type Context } from "../context.ts";
import { CommandFailure, usageError } from "../failure.ts";
import { bar } from "../terminal/bar.ts";
import { count } from "../terminal/figures.ts";
import { LiveBlock } from "../terminal/live.ts";
import { untilInterrupted } from "./interrupt.ts";
import { rate, type ReplayResult } from "./report.ts";
import { laneOf, type Run } from "./run.ts";
import { openSource, type ByteSource } from "./source.ts";
import { ThroughChecks } from "./through-checks.ts";
import { ThroughState } from "./through-state.ts";
import { BookedReader, growth, serverTime, verify } from "./verify.ts";

export interface ReplayOptions {
  checkOnly?: boolean;
  concurrency?: number;
  batch: number;
  limit?: number;
  service?: string;
  namespace?: string;
}

/** State calls at once, and batches of checks at once: more only queue up in the server. */
const STATE_CONCURRENCY = 32;
const CHECK_CONCURRENCY = 8;

/** State operations that a lane takes at once; only web requests beside them travel together. */
const STATE_BATCH = 16;

const METERS_OF_STATE = ["state_requests", "state_sqlite_rows_read", "state_sqlite_rows_written"];
const METERS_OF_WEB = ["worker_requests", "worker_transfer_bytes"];

/** Replays the trace in `file` (`-` for stdin) and holds what it counted against what Postgres holds. */
export async function replay(context: Context, file: string, options: ReplayOptions): Promise<ReplayResult> {
  const source = await openSource(file);
  const trace = await opened(source);
  const run = await createRun(context, options);
  const reader = new BookedReader(run.api, await serverTime(run.api));
  const meters = trace.format.name === "access log" ? [...METERS_OF_STATE, ...METERS_OF_WEB] : METERS_OF_STATE;
  const before = await reader.read(meters);

  const started = monotonicMs();
  const notes = await send(context, run, trace, source, options);
  const elapsedMs = monotonicMs() - started;
  if (run.tally.sent === 0) throw new CommandFailure(`Nothing to replay: ${trace.unreadable.first ?? "the trace holds no operation"}.`);

  if (context.err.interactive) context.err.line("Waiting until it is booked in Postgres …");
  const grown = async (): Promise<Record<string, number>> => growth(before, await reader.read(meters), run.services);
  const verification = await verify(grown, run.tally.quantities(), run.tally.uncertain());
  const services = [...run.services];
  const { tally, account } = run;
  return { trace: file, format: trace.format.name, account, services, tally, elapsedMs, unreadable: trace.unreadable, notes, verification };
}

async function opened(source: ByteSource): Promise<Trace> {
  try {
    return await readTrace(source.bytes);
  } catch (error) {
    if (error instanceof UnknownFormatError) throw usageError(error.message, "See `weir replay --help`.");
    throw unpackFailure(error);
  }
}

async function createRun(context: Context, options: ReplayOptions): Promise<Run> {
  const id = `replay-${randomBase62(10)}`;
  return {
    api: context.api,
    account: await accountOf(context),
    service: options.service ?? id,
    namespace: options.namespace ?? "Trace",
    serviceForced: options.service !== undefined,
    namespaceForced: options.namespace !== undefined,
    catalog: await readCatalogOrDefault(context.api),
    tally: new Tally(),
    id,
    services: new Set(),
  };
}

/** Sends everything; answers what is worth a remark. */
async function send(context: Context, run: Run, trace: Trace, source: ByteSource, options: ReplayOptions): Promise<string[]> {
  const checks = options.checkOnly ? new ThroughChecks(run) : null;
  const worker = checks ?? new ThroughState(run);
  const batchMax = checks ? options.batch : STATE_BATCH;
  const laneCount = options.concurrency ?? (checks ? CHECK_CONCURRENCY : STATE_CONCURRENCY);
  const lanes = new Lanes<TraceOperation>({ count: laneCount, batchMax, queueMax: batchMax * 2 }, (items) => worker.work(items));
  const live = new LiveBlock(context.err);
  const started = monotonicMs();
  const frame = (): string[] => [progressLine(context, run.tally, source.progress(), monotonicMs() - started)];
  const interrupt = untilInterrupted(() => context.err.line("Stopping: finishing what is under way. Again to end at once."));
  let pushed = 0;
  try {
    for await (const operation of trace.operations) {
      if (interrupt.signal.aborted || (options.limit !== undefined && pushed >= options.limit)) break;
      await lanes.push(laneOf(run, operation), operation);
      pushed += 1;
      live.draw(frame);
    }
    await lanes.finish();
  } catch (error) {
    throw unpackFailure(error);
  } finally {
    interrupt.release();
    live.finish(frame);
  }
  const notes = interrupt.signal.aborted ? [`Stopped after ${count(pushed)} operations of the trace.`] : [];
  if (checks?.written.overflowed) notes.push(`More than ${count(WRITTEN_KEYS_MAX)} keys: some reads of later ones were counted as misses.`);
  return notes;
}

function progressLine(context: Context, tally: Tally, progress: number | null, elapsedMs: number): string {
  const done = progress === null ? "" : `${bar(progress * 100, 24, context.err.style)} ${Math.floor(progress * 100)} %  `;
  return `${done}${count(tally.sent)} operations  ${count(rate(tally.sent, elapsedMs))}/s  ${count(tally.denied)} denied`;
}

/** A damaged .gz is the file's fault, not Weir's: zlib says so with codes like Z_BUF_ERROR. */
function unpackFailure(error: unknown): unknown {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  return code.startsWith("Z_")
    ? new CommandFailure(`The trace cannot be unpacked (${code}): the file is damaged or cut off.`, { cause: error })
    : error;
}
