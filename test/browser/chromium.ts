import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { chromium, type Browser } from "playwright-core";

const PLACES = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
const FLAGS = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** The browser of this machine; Debian's is installed where there is none and apt-get may. Null where none can be had. */
export function findChromium(): string | null {
  const present = PLACES.find((place) => existsSync(place));
  if (present !== undefined) return present;
  const sudo = process.getuid?.() === 0 ? "" : "sudo -n ";
  const install = `${sudo}apt-get update -qq && ${sudo}apt-get install -y -qq --no-install-recommends chromium`;
  spawnSync("sh", ["-c", install], { env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" }, stdio: "ignore" });
  return PLACES.find((place) => existsSync(place)) ?? null;
}

export function openBrowser(executablePath: string): Promise<Browser> {
  return chromium.launch({ executablePath, args: FLAGS });
}
