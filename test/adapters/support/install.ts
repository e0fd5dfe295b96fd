import { createRequire } from "node:module";
import { dirname } from "node:path";

const { ensurePackages } = createRequire(import.meta.url)("../../../bin/install.cjs") as {
  ensurePackages: (this: void, dir: string, what: string) => Promise<void>;
};

/** Installs the runtimes' packages from the lockfile here, once. Throws where they cannot be had. */
export const installRuntimes = (): Promise<void> =>
  ensurePackages(dirname(import.meta.dirname), "the runtimes that the adapters are tested against (480 MB)");
