import { ERROR_GUIDE, exampleAnswer } from "../../src/http/error-guide.ts";
import { ERROR_CATALOG, type ErrorCode } from "../../src/kernel/errors.ts";

const HEAD = `# Errors

Written by \`npm run generate\` from \`src/kernel/errors.ts\` and \`src/http/error-guide.ts\`.

Every error of the API is \`application/problem+json\` (RFC 9457). \`code\` is stable: it never changes its meaning or its status. \`type\` and
\`docs_url\` lead to the code's page, which every Weir serves itself at \`/docs/errors/<code>\`. \`detail\` and \`message\` are the same sentence, for
people; \`agent_instruction\` tells a program what to do next. \`Retry-After\` is sent where waiting helps.
`;

/** docs/errors.md: a section for each code. */
export function errorReference(): string {
  const codes = Object.keys(ERROR_CATALOG) as ErrorCode[];
  const rows = codes.map((code) => `| [\`${code}\`](#${code}) | ${ERROR_CATALOG[code].status} | ${ERROR_CATALOG[code].title} |`);
  const index = ["| code | HTTP | what it says |", "|---|---|---|", ...rows].join("\n");
  return `${[HEAD, index, "", ...codes.map(section)].join("\n")}`;
}

function section(code: ErrorCode): string {
  const { status, title, agentInstruction } = ERROR_CATALOG[code];
  const { meaning, causes, steps } = ERROR_GUIDE[code];
  return `## ${code}

**${title}** (HTTP ${status}). ${meaning}

Why it happens:

${causes.map((cause) => `- ${cause}`).join("\n")}

What to do:

${steps.map((step, i) => `${i + 1}. ${step}`).join("\n")}

A program that reads the answer is told: ${agentInstruction.replaceAll(/<([a-z]+)>/g, "`<$1>`")}

\`\`\`http
${exampleAnswer(code)}
\`\`\`
`;
}
