#!/usr/bin/env node
"use strict";
/**
 * Starts Weir on whatever Node (18 or later) runs this file: installs the packages when they are missing or out of
 * date, fetches a Node 24 when this one is older, and goes on under it. Old JavaScript on purpose: it must run before
 * anything else can. When all is in place it costs about 2 ms.
 *
 *   weir <command> …        the command line (src/cli)
 *   weir run <script> …     the checkout's own scripts: test, check, format, generate
 */
const childProcess = require("node:child_process");
const fs = require("node:fs");
const path = require("node:path");
const { pathToFileURL } = require("node:url");
const { LaunchError, MODULES_DIR, LOCKFILE, ensurePackages, ensureRuntime, runtimePlace } = require("./install.cjs");

const ROOT = path.resolve(__dirname, "..");
/** The first Node 24 that strips types without a flag or a warning and has node:sqlite without one. */
const NODE_MIN = [24, 12];
const PARENT_POLL_MS = 1000;
const FORWARDED_SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"];

const SCRIPTS = {
  test: ["test/run.ts"],
  check: ["test/run.ts", "--checks-only"],
  format: ["test/format.ts"],
  generate: ["test/generate.ts"],
  sbom: ["test/sbom.ts"],
  package: ["test/package.ts"],
  billing: ["test/billing/main.ts"],
  browser: ["test/browser/main.ts"],
  fault: ["test/fault/main.ts"],
  model: ["test/model/main.ts"],
  protocol: ["test/protocol/main.ts"],
  fuzz: ["test/fuzz/main.ts"],
  bench: ["test/bench/main.ts"],
  scale: ["test/scale/main.ts"],
  cluster: ["test/cluster/main.ts"],
  soak: ["test/soak/main.ts"],
  adapters: ["test/adapters/main.ts"],
  example: ["test/adapters/example.ts"],
};

main().catch((error) => {
  process.stderr.write(`Weir: ${error instanceof LaunchError ? error.message : error.stack || error}\n`);
  process.exit(1);
});

async function main() {
  const compiled = path.join(ROOT, "src", "cli", "main.js");
  if (!fs.existsSync(LOCKFILE) && fs.existsSync(compiled)) return runPublished(compiled);
  followLauncher();
  followNpm();
  const recent = isRecent(process.versions.node);
  // Both at once, and both to their end: an npm that outlived us would write into what the next start clears away.
  const settled = await Promise.allSettled([ensurePackages(), recent ? null : ensureRuntime()]);
  for (const { status, reason } of settled) if (status === "rejected") throw reason;
  linkCommand();
  if (recent) return runHere(process.argv.slice(2));
  return runUnder(runtimePlace().node, process.argv.slice(2));
}

/** Installed from npm: npm has brought the packages, and the sources are compiled. */
function runPublished(compiled) {
  if (isRecent(process.versions.node)) return import(pathToFileURL(compiled).href);
  throw new LaunchError(`it needs Node ${NODE_MIN.join(".")} or later; this is ${process.versions.node}.`);
}

/** Runs in this very process: what is started sees its own arguments in process.argv, as if it had been named. */
function runHere(args) {
  let file = "src/cli/main.ts";
  let rest = args;
  if (args[0] === "run") {
    const script = SCRIPTS[args[1]];
    if (!script) throw new LaunchError(`there is no script "${args[1] || ""}"; there are ${Object.keys(SCRIPTS).join(", ")}.`);
    file = script[0];
    rest = script.slice(1).concat(args.slice(2));
    process.chdir(ROOT);
  }
  const program = path.join(ROOT, file);
  process.argv = [process.execPath, program].concat(rest);
  return import(pathToFileURL(program).href);
}

/** Runs this file again under `node` and behaves as that process does: its signals, its exit code, its end. */
function runUnder(node, args) {
  const child = childProcess.spawn(node, [__filename].concat(args), {
    // The channel carries no message: it closes when we are killed, and the child then stops (followLauncher).
    stdio: ["inherit", "inherit", "inherit", "ipc"],
    env: Object.assign({}, process.env, {
      PATH: path.dirname(node) + path.delimiter + (process.env.PATH || ""),
      WEIR_LAUNCHED: "1",
    }),
  });
  for (const signal of FORWARDED_SIGNALS) process.on(signal, () => child.kill(signal));
  child.on("error", (error) => {
    process.stderr.write(`Weir: ${node} does not start: ${error.message}\n`);
    process.exit(1);
  });
  child.on("exit", (code, signal) => {
    if (signal === null) process.exit(code);
    for (const forwarded of FORWARDED_SIGNALS) process.removeAllListeners(forwarded);
    process.kill(process.pid, signal);
  });
}

/** Under a launcher: when it is killed by SIGKILL it cannot forward that, but the channel to it closes. */
function followLauncher() {
  if (process.env.WEIR_LAUNCHED !== "1" || !process.channel) return;
  delete process.env.WEIR_LAUNCHED;
  process.on("disconnect", () => process.kill(process.pid, "SIGTERM"));
  process.channel.unref();
}

/**
 * Under `npm start`: ends with npm, also when npm is killed by SIGKILL; it forwards what it can catch. (The scripts say
 * `exec`, since the shell between would die of the signal and leave us running.)
 */
function followNpm() {
  if (!process.env.npm_lifecycle_event) return;
  const parent = process.ppid;
  const timer = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(timer);
    process.kill(process.pid, "SIGTERM");
  }, PARENT_POLL_MS);
  timer.unref();
}

/** Lets `npx weir` find this file at once, and offline. */
function linkCommand() {
  const link = path.join(MODULES_DIR, ".bin", "weir");
  const target = path.join("..", "..", "bin", "weir.cjs");
  try {
    if (fs.readlinkSync(link) === target) return;
  } catch {
    // Not there yet.
  }
  try {
    fs.mkdirSync(path.dirname(link), { recursive: true });
    fs.rmSync(link, { force: true });
    fs.symlinkSync(target, link);
  } catch {
    // A checkout that this user may not write to works all the same, by `npm start`.
  }
}

function isRecent(version) {
  const [major, minor] = version.split(".").map(Number);
  return major > NODE_MIN[0] || (major === NODE_MIN[0] && minor >= NODE_MIN[1]);
}
