import { spawnSync } from "node:child_process";
import { expect, it } from "vitest";
import { run } from "./weir.ts";

const env = { PATH: process.env["PATH"] ?? "" };

/** What bash offers at the end of a line. */
function offered(script: string, line: string): string[] {
  const typed = line.split(" ");
  const words = ["weir", ...typed].map((word) => `'${word}'`).join(" ");
  const ask = `${script}\nCOMP_WORDS=(${words}); COMP_CWORD=${typed.length}; _weir; printf '%s\\n' "\${COMPREPLY[@]}"`;
  return spawnSync("bash", ["-c", ask], { encoding: "utf8" }).stdout.split("\n").filter(Boolean);
}

it("weir completion bash offers what fits", async () => {
  const { code, stdout } = await run(["completion", "bash"], env);
  expect(code).toBe(0);
  expect(offered(stdout, "li")).toEqual(["limits"]);
  expect(offered(stdout, "limits ")).toEqual(expect.arrayContaining(["set", "list", "delete", "--json"]));
  expect(offered(stdout, "state alarm s")).toEqual(["set"]);
  expect(offered(stdout, "limits set m --period ")).toEqual(["day", "month"]);
  expect(offered(stdout, "usage --by h")).toEqual(["hour"]);
  expect(offered(stdout, "limits set --no")).toEqual(["--notify-at-percent"]);
});

it("knows zsh and fish, and no other", async () => {
  expect((await run(["completion", "zsh"], env)).stdout).toContain("bashcompinit");
  expect((await run(["completion", "fish"], env)).stdout).toContain(
    "complete -c weir -f -n '__fish_seen_subcommand_from limits; and __fish_seen_subcommand_from set' -l period -x -a 'day month'",
  );
  expect(await run(["completion", "tcsh"], env)).toMatchObject({ code: 2, stdout: "" });
});
