/** The parts of package-lock.json (version 3) that matter here. */
interface Lockfile {
  packages: Record<string, LockedPackage>;
  [member: string]: unknown;
}

interface LockedPackage {
  version?: string;
  dev?: boolean;
  optional?: boolean;
  os?: string[];
  cpu?: string[];
  libc?: string[];
  optionalDependencies?: Record<string, string>;
  [member: string]: unknown;
}

const PLATFORM = /(android|darwin|freebsd|linux|openharmony|win32)-(arm64|arm|ia32|ppc64|riscv64|s390x|x64)/;

/**
 * The lockfile with an entry for every platform's binary. npm leaves out those that its registry (a mirror, say) did not
 * carry when the lockfile was written, and `npm ci` then refuses that lockfile everywhere.
 */
export function completeLockfile(text: string): string {
  const lockfile = JSON.parse(text) as Lockfile;
  const packages = { ...lockfile.packages };
  for (const [place, entry] of Object.entries(lockfile.packages)) {
    if (place === "") continue;
    for (const [name, version] of Object.entries(entry.optionalDependencies ?? {})) {
      if (Object.keys(packages).some((known) => known.endsWith(`node_modules/${name}`))) continue;
      packages[`node_modules/${name}`] = binaryOf(name, version, entry.dev === true);
    }
  }
  if (Object.keys(packages).length === Object.keys(lockfile.packages).length) return text;
  const sorted = Object.entries(packages).toSorted(([a], [b]) => a.localeCompare(b, "en"));
  return `${JSON.stringify({ ...lockfile, packages: Object.fromEntries(sorted) }, null, 2)}\n`;
}

/** Without a hash: npm takes the registry's word for it on that platform, and passes it over on all others. */
function binaryOf(name: string, version: string, dev: boolean): LockedPackage {
  const [, os, cpu] = PLATFORM.exec(name) ?? [];
  const libc = name.includes("musl") ? ["musl"] : name.includes("gnu") && os === "linux" ? ["glibc"] : undefined;
  return {
    version,
    ...(cpu === undefined ? {} : { cpu: [cpu] }),
    ...(dev ? { dev } : {}),
    ...(libc === undefined ? {} : { libc }),
    optional: true,
    ...(os === undefined ? {} : { os: [os] }),
  };
}
