import type { Command } from "commander";
import { systemClock } from "../kernel/clock.ts";
import { toProblem, WeirError } from "../kernel/errors.ts";
import { Api } from "./api.ts";
import { resolveConnection, type ConnectionFlags } from "./connection.ts";
import { EXIT, type ExitCode } from "./exit.ts";
import { CommandFailure, failureLines, failureOf, ownProblem } from "./failure.ts";
import { Progress } from "./terminal/progress.ts";
import { surface, type Surface } from "./terminal/surface.ts";

/** What every command is given. */
export interface Context {
  readonly api: Api;
  /** `--json`: the API's JSON on stdout and nothing else there. */
  readonly json: boolean;
  readonly out: Surface;
  readonly err: Surface;
  /** What the command is at, told to a person who waits; a command that draws for itself stops it. */
  readonly progress: Progress;
}

export interface GlobalFlags extends ConnectionFlags {
  json?: boolean;
}

type Flags<Options> = Options & GlobalFlags;

/** A command's positional arguments; an optional one that is left out is undefined (and differs from an empty one). */
export type Args = readonly (string | undefined)[];

/** What a command does, given its positional arguments and its options. */
export type Handler<Options> = (context: Context, args: Args, options: Flags<Options>) => Promise<ExitCode>;

/** Makes a commander action of a handler: builds the context, turns failures into words and exit codes. */
export function action<Options = object>(handler: Handler<Options>): (...params: unknown[]) => Promise<void> {
  return async (...params) => {
    const command = params.at(-1) as Command;
    const options = command.optsWithGlobals<Flags<Options>>();
    let context: Context | null = null;
    try {
      context = createContext(options);
      const args = command.processedArgs.map((arg: unknown) => (arg === undefined ? undefined : String(arg)));
      process.exitCode = await handler(context, args, options);
    } catch (error) {
      context?.progress.stop();
      process.exitCode = report(error, options.json === true);
    } finally {
      context?.progress.stop();
    }
  };
}

function createContext(flags: GlobalFlags): Context {
  const api = new Api(resolveConnection(flags, process.env));
  const [out, err] = [surface(process.stdout, process.env), surface(process.stderr, process.env)];
  const progress = new Progress(err);
  progress.say(`asking ${api.connection.url}`);
  return { api, json: flags.json === true, out: out.interactive ? clearing(out, progress) : out, err: clearing(err, progress), progress };
}

/** A surface on the screen where progress is drawn: what is written ends it first. */
function clearing(surface: Surface, progress: Progress): Surface {
  return {
    ...surface,
    write: (text) => {
      progress.stop();
      surface.write(text);
    },
    line: (text) => {
      progress.stop();
      surface.line(text);
    },
  };
}

/** Says why a command failed; answers the exit code. */
export function report(error: unknown, json: boolean): ExitCode {
  const failure = error instanceof CommandFailure ? error : unexpected(error);
  if (json) process.stdout.write(`${JSON.stringify(failure.problem, null, 2)}\n`);
  const err = surface(process.stderr, process.env);
  for (const line of failureLines(failure, systemClock.now(), err)) err.line(line);
  return failure.exitCode;
}

function unexpected(error: unknown): CommandFailure {
  if (error instanceof WeirError) return failureOf(toProblem(error, "weir"));
  const message = error instanceof Error ? error.message : String(error);
  return new CommandFailure(message, { exitCode: EXIT.failed, problem: ownProblem("internal_error", message), cause: error });
}

/** Prints the API's JSON as it came. */
export function printJson(context: Context, body: unknown): void {
  context.out.line(JSON.stringify(body, null, 2));
}

/** Prints `body` as JSON where that was asked for, else the lines that `forPeople` makes of it. */
export function show<T>(context: Context, body: T, forPeople: (body: T) => readonly string[]): void {
  if (context.json) return printJson(context, body);
  for (const line of forPeople(body)) context.out.line(line);
}

/** The account this command is about. An account's own key names it by itself, so the API is asked where nothing else says. */
export async function accountOf(context: Context): Promise<string> {
  const { account } = context.api.connection;
  if (account !== null) return account;
  const usage = await context.api.call<{ account: string }>("GET", "/v1/usage");
  return usage.account;
}
