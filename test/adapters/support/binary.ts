import { createRequire } from "node:module";
import { dirname, join } from "node:path";

const require = createRequire(import.meta.url);

/** The executable that a runtime's package for this platform brings: run as it is, since a package's own wrapper would be the pid. */
export function binaryOf(family: string, name: string): string {
  const suffix = `${process.platform}-${process.arch}`;
  for (const candidate of [`${family}-${suffix}`, `${family}-${suffix}-musl`, `${family}-${suffix}-gnu`]) {
    try {
      const folder = dirname(require.resolve(`${candidate}/package.json`));
      return join(folder, name === "restate-server" ? "bin" : "", name);
    } catch {
      // Not this one's name.
    }
  }
  throw new Error(`${family} has no binary for ${suffix}: remove test/adapters/node_modules and run \`npm run test:adapters\` again.`);
}
