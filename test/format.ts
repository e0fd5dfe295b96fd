/** `npm run format [files]`: formats the checkout, or the files that are named. */
import { runTool, TOOLS } from "./support/tools.ts";

const files = process.argv.slice(2);
const { code, output } = await runTool(TOOLS.format, files.length > 0 ? files : ["."]);
process.stdout.write(output);
process.exitCode = code;
