/** `npm run test:protocol`: walks every interleaving of the grant protocol's scenes, whole and broken, and says what it saw. */
import { explore } from "./explore.ts";
import { SCENES, STATES_MAX } from "./scenes.ts";

const say = (line: string): void => void process.stdout.write(`${line}\n`);
for (const { name, bounds, mutations } of SCENES) {
  const { states, transitions, violation } = explore(bounds, null, STATES_MAX);
  say(`${name}: ${states} states, ${transitions} transitions`);
  if (violation) {
    say(`  ✗ ${violation.says}\n    ${violation.history.join("\n    ")}`);
    process.exitCode = 1;
  }
  for (const mutation of mutations) {
    const broken = explore(bounds, mutation, STATES_MAX).violation;
    say(broken ? `  broken on purpose (${mutation}): ${broken.says}, after ${broken.history.length} steps` : `  ✗ nobody saw: ${mutation}`);
    if (!broken) process.exitCode = 1;
  }
}
