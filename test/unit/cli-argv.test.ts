import type { Command } from "commander";
import { describe, expect, test } from "vitest";
import { commandWord, optionsLast } from "../../src/cli/argv.ts";
import { buildProgram } from "../../src/cli/program.ts";

const program = await buildProgram("all", "0.0.0");
const words = (line: string): string[] => line.split(" ").filter((w) => w !== "");

describe("options may stand before or after the subcommand", () => {
  test.each([
    ["state list --service s", "state list --service s"],
    ["--service s state list", "state list --service s"],
    ["state --service s list", "state list --service s"],
    ["--json --service=s state put Room r k v", "state put Room r k v --json --service=s"],
    ["--account a limits --period day set m --value 1", "limits set m --value 1 --account a --period day"],
    ["--service s state put Room r k -- --v", "state put Room r k --service s -- --v"],
    ["usage --json", "usage --json"],
    ["--url http://x --key k usage", "usage --url http://x --key k"],
    ["--version", "--version"],
  ])("%s", (given, expected) => {
    expect(optionsLast(program, words(given))).toEqual(words(expected));
  });
});

test("the command's word is found behind options with values", () => {
  const names = new Set(["usage", "state"]);
  const flags = new Set(["--account"]);
  expect(commandWord(["--account", "usage", "state"], names, flags)).toBe("state");
  expect(commandWord(["--json", "usage"], names, flags)).toBe("usage");
  expect(commandWord(["nothing"], names, flags)).toBeNull();
  expect(commandWord([], names, flags)).toBeNull();
});

test("a flag takes a value in every command or in none", () => {
  const withValue = new Set<string>();
  const without = new Set<string>();
  const visit = (command: Command): void => {
    for (const o of command.options) (o.required || o.optional ? withValue : without).add(o.long ?? "");
    command.commands.forEach(visit);
  };
  visit(program);
  expect(withValue.size).toBeGreaterThan(10);
  expect([...withValue].filter((flag) => without.has(flag))).toEqual([]);
});

test("every command of the contract is there, and says what it does", () => {
  const tree = Object.fromEntries(program.commands.map((c) => [c.name(), c.commands.map((s) => s.name()).toSorted()]));
  expect(tree).toEqual({
    usage: [],
    audit: ["export", "list", "verify"],
    migrate: [],
    roles: [],
    serve: [],
    limits: ["delete", "list", "set"],
    notifications: [],
    webhooks: ["create", "delete", "deliveries", "enable", "list", "replay", "rotate", "test"],
    worker: [],
    credits: ["grant", "list", "show", "void"],
    invoices: ["credit", "explain", "finalize", "hand-over", "list", "pay", "run", "show", "upcoming", "void"],
    pricing: [],
    completion: [],
    simulate: [],
    state: ["alarm", "create", "delete", "delete-value", "get", "keys", "list", "objects", "put", "rotate"],
    check: [],
    replay: [],
    demo: [],
    start: [],
    accounts: ["create", "list", "plan", "show", "update"],
    keys: ["create", "delete", "list", "rotate"],
    catalog: ["apply", "diff", "show"],
    recount: [],
    doctor: [],
  });
  const silent = program.commands.flatMap((c) => [c, ...c.commands]).filter((c) => c.description() === "");
  expect(silent.map((c) => c.name())).toEqual([]);
});
