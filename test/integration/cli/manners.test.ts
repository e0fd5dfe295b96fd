import { spawn } from "node:child_process";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, expect, it } from "vitest";
import { buildProgram } from "../../../src/cli/program.ts";
import { ROOT } from "../../support/tools.ts";
import { run, startWeir, type RunningWeir } from "./weir.ts";

const ESCAPE = "\u001b";
/** Commands that look at something and change nothing. */
const LOOKS = [
  "usage",
  "usage --all",
  "limits list",
  "notifications",
  "invoices list",
  "invoices upcoming",
  "pricing",
  "doctor",
  "accounts list",
  "keys list",
  "webhooks list",
  "audit list",
  "state list --service s",
];

let weir: RunningWeir;
beforeAll(async () => {
  weir = await startWeir();
});
afterAll(() => weir.stop());

it.each(LOOKS)("weir %s has no escape sequence in a pipe, whatever the environment says", async (line) => {
  const { stdout, stderr } = await weir.weir(line.split(" "), {
    env: { TERM: "xterm-256color", FORCE_COLOR: "3", COLORTERM: "truecolor" },
  });
  expect(stdout.length + stderr.length).toBeGreaterThan(0);
  expect(stdout + stderr).not.toContain(ESCAPE);
});

it("an error says what to type next", async () => {
  const wrong = await weir.weir(["usage", "--key", "weir_account_wrong"]);
  expect(wrong.code).toBe(1);
  expect(wrong.stderr).toMatch(/→ Pass --key <key> or set WEIR_KEY/);
});

it("help in a terminal of any width, and in a pipe, has no escape sequence", async () => {
  const program = await buildProgram("all", "0");
  const names = program.commands.map((command) => command.name());
  const { stdout } = await run(["--help"], { PATH: "", TERM: "xterm" });
  expect(names.filter((name) => !stdout.includes(name))).toEqual([]);
  expect(stdout).not.toContain(ESCAPE);
});

it("who reads no further ends the command without an error", async () => {
  const server = createServer(
    (_request, response) =>
      void response
        .setHeader("content-type", "application/json")
        .end(
          JSON.stringify({ accounts: Array.from({ length: 1_000 }, (_, i) => ({ account: `acct_${i}`, plan: "free" })), nextCursor: null }),
        ),
  );
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const child = spawn("sh", ["-c", `"${process.execPath}" ${ROOT}src/cli/main.ts accounts list --json --url ${url} --key k | head -1`], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    let [out, err] = ["", ""];
    child.stdout.on("data", (chunk) => (out += String(chunk)));
    child.stderr.on("data", (chunk) => (err += String(chunk)));
    await new Promise((resolve) => child.once("close", resolve));
    expect([out, err]).toEqual(["{\n", ""]);
  } finally {
    server.close();
  }
});
