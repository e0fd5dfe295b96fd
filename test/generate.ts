/** `npm run generate`: brings every generated file up to date. */
import { staleFiles } from "./support/generated.ts";

const written = await staleFiles({ write: true });
console.log(written.length === 0 ? "All generated files are current." : `Wrote ${written.join(", ")}.`);
