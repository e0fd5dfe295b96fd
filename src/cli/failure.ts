import type { Denial } from "../client/types.ts";
import { toProblem, WeirError, type ErrorCode } from "../kernel/errors.ts";
import { EXIT, type ExitCode } from "./exit.ts";
import { count, until } from "./terminal/figures.ts";
import { printable } from "./terminal/style.ts";
import type { Surface } from "./terminal/surface.ts";

/** The members of a problem document that the command line reads. */
export interface ProblemDocument {
  code: string;
  message: string;
  status?: number;
  denials?: Denial[];
  errors?: { path: string; message: string }[];
  [member: string]: unknown;
}

/**
 * Why a command ends without its result: one sentence for people, what to do next, the problem document for programs
 * and the exit code for scripts.
 */
export class CommandFailure extends Error {
  readonly exitCode: ExitCode;
  readonly remedy: string | null;
  readonly problem: ProblemDocument;

  constructor(message: string, options: { exitCode?: ExitCode; remedy?: string; problem?: ProblemDocument; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "CommandFailure";
    this.exitCode = options.exitCode ?? EXIT.failed;
    this.remedy = options.remedy ?? null;
    this.problem = options.problem ?? ownProblem(this.exitCode === EXIT.usage ? "bad_request" : "internal_error", message);
  }
}

/** A problem document for what went wrong on this side of the wire. */
export function ownProblem(code: ErrorCode, message: string): ProblemDocument {
  return { ...toProblem(new WeirError(code, message), "weir") };
}

/** A command line that cannot be carried out as it stands. */
export const usageError = (message: string, remedy?: string): CommandFailure =>
  new CommandFailure(message, { exitCode: EXIT.usage, ...(remedy === undefined ? {} : { remedy }) });

/** The failure that an API's problem document stands for. */
export function failureOf(problem: ProblemDocument): CommandFailure {
  const denied = problem.code === "limit_exceeded" || problem.code === "payload_too_large";
  const remedy = problem.message.includes("Weir-Account") ? NAME_ONE : REMEDIES[problem.code];
  return new CommandFailure(problem.message, {
    exitCode: denied ? EXIT.denied : EXIT.failed,
    problem,
    ...(remedy === undefined ? {} : { remedy }),
  });
}

/** The API names its header, which nobody types in a shell. */
const NAME_ONE = "Name an account that exists with --account <account> or WEIR_ACCOUNT: see `weir accounts list`.";

/** What to run next, where the API's own sentence cannot know that it is read in a shell. */
const REMEDIES: Readonly<Record<string, string>> = {
  unauthorized: "Pass --key <key> or set WEIR_KEY; `npm start` writes a key into .weir/credentials.json.",
  forbidden: "Use a key whose scope allows this: see `weir keys list`.",
  rate_limited: "Wait a moment, then run it again.",
  unavailable: "Nothing was decided. Ask `weir doctor` what is down, then run it again.",
  internal_error: "Run it again; if it stays, ask `weir doctor` and read the server's log.",
};

/** One denial in two lines: where the account stands, then what helps. */
export function denialLines(denial: Denial, nowMs: number, paint: Surface["style"]): string[] {
  const what = denial.meter ?? "payload";
  const window = denial.period === null ? denial.scope : `${denial.scope}, ${denial.period}`;
  const held = denial.reserved > 0 ? ` + ${count(denial.reserved)} reserved` : "";
  const resets = denial.resetsAt === null ? "" : `; resets ${denial.resetsAt} (${until(denial.resetsAt, nowMs)})`;
  const standing = `${count(denial.used)}${held} of ${count(denial.limit)} used, ${count(denial.requested)} requested`;
  const lines = [`  ${paint.bad(what)} (${denial.source}, ${window}): ${standing}${resets}`];
  if (denial.remedy) lines.push(`  ${paint.faint("→")} ${printable(denial.remedy)}`);
  return lines;
}

/** What a person reads on stderr. */
export function failureLines(failure: CommandFailure, nowMs: number, err: Surface): string[] {
  const lines = [`${err.style.bad("error:")} ${printable(failure.message)}`];
  for (const denial of failure.problem.denials ?? []) lines.push(...denialLines(denial, nowMs, err.style));
  const fieldErrors = failure.problem.errors ?? [];
  if (fieldErrors.length > 1) lines.push(...fieldErrors.map((e) => `  ${printable(e.path || "body")}: ${printable(e.message)}`));
  if (failure.remedy !== null) lines.push(`${err.style.faint("→")} ${failure.remedy}`);
  return lines;
}
