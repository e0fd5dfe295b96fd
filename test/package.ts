/** `npm run package [-- <folder>]`: makes the package that is published, in `dist` or in the folder named; `npm publish dist --provenance` sends it. */
import { rm } from "node:fs/promises";
import { resolve } from "node:path";
import { buildPackage } from "./support/published.ts";

const folder = resolve(process.argv[2] ?? "dist");
await rm(folder, { recursive: true, force: true });
await buildPackage(folder);
console.log(`The package stands in ${folder}.`);
