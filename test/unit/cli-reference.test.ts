import type { Command } from "commander";
import { expect, test } from "vitest";
import { unknownFlagsFirst } from "../../src/cli/argv.ts";
import { buildProgram } from "../../src/cli/program.ts";
import { cliReference, commandPages } from "../support/cli-reference.ts";

const program = await buildProgram("all", "0.0.0");
const pages = commandPages(program);

test("every command has an example, and says what its arguments and options are", () => {
  const silent = pages.filter(({ examples }) => examples.length === 0).map(({ path }) => path);
  const unexplained = pages.flatMap(({ path, command }) =>
    [...command.registeredArguments.map((a) => [a.name(), a.description]), ...command.options.map((o) => [o.flags, o.description])]
      .filter(([, description]) => !description)
      .map(([name]) => `${path} ${name}`),
  );
  expect({ silent, unexplained }).toEqual({ silent: [], unexplained: [] });
});

test.each(pages.flatMap(({ path, examples }) => examples.map((example) => ({ path, example }))))("$example", async ({ path, example }) => {
  expect(example).toMatch(new RegExp(`^${path}(?: |$)`));
  expect(await understood(example)).toBe(path);
});

test("the reference names every command and every option", async () => {
  const text = await cliReference();
  const missing = pages.flatMap(({ path, command }) =>
    [`${path} ${command.usage()}`.trimEnd(), ...command.options.map((o) => `\`${o.flags}\``)].filter((part) => !text.includes(part)),
  );
  expect(missing).toEqual([]);
});

/** Parses a command line with commands that do nothing; answers which one it was, and throws where it cannot be carried out. */
async function understood(line: string): Promise<string> {
  const fresh = await buildProgram("all", "0.0.0", true);
  let ran = "";
  const disarm = (command: Command, path: string): void => {
    if (command.commands.length === 0) command.action(() => void (ran = path));
    for (const sub of command.commands) disarm(sub, `${path} ${sub.name()}`);
  };
  disarm(fresh, "weir");
  const argv = line.split(" ").slice(1);
  unknownFlagsFirst(fresh, argv);
  await fresh.parseAsync(argv, { from: "user" });
  return ran;
}
