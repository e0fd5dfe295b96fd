import { createConfig, lintFromString } from "@redocly/openapi-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { generateClient, type GeneratedClient } from "../support/generated-client.ts";
import { openApiText } from "../support/openapi.ts";

const document = await openApiText();

/** Beyond what the linter recommends: what readers and generators live on. */
const RULES = {
  "operation-description": "error",
  "operation-operationId": "error",
  "operation-operationId-url-safe": "error",
  "operation-singular-tag": "error",
  "operation-tag-defined": "error",
  "tag-description": "error",
  "parameter-description": "error",
  "no-invalid-media-type-examples": "error",
  "no-invalid-schema-examples": "error",
  "no-invalid-parameter-examples": "error",
  "no-required-schema-properties-undefined": "error",
  "no-unused-components": "error",
  // A socket is answered with 101; that every other operation has a 2XX is looked at below.
  "operation-2xx-response": "off",
} as const;

interface Operation {
  operationId: string;
  responses: Record<string, { $ref?: string; description?: string }>;
}

const { paths } = JSON.parse(document) as { paths: Record<string, Record<string, Operation>> };
const operations = Object.values(paths).flatMap((path) => Object.values(path));

/** What the linter says of `source`, one line each. */
async function lint(source: string): Promise<string[]> {
  const config = await createConfig({ extends: ["recommended-strict"], rules: RULES });
  const problems = await lintFromString({ source, absoluteRef: "/openapi.json", config });
  return problems.map(({ ruleId, message, location }) => `${ruleId}: ${message} ${location[0]?.pointer ?? ""}`);
}

describe("the OpenAPI document", () => {
  it("passes the linter", async () => {
    expect(await lint(document)).toEqual([]);
  });

  it("would not, were an answer, a description or an example wrong", async () => {
    const broken = document.replace('"operationId": "postCheck"', '"operationId": "post check"').replace('"put-17"', "17");
    expect((await lint(broken)).map((line) => line.split(":", 1)[0])).toEqual(
      expect.arrayContaining(["operation-operationId-url-safe", "no-invalid-media-type-examples"]),
    );
  });

  it("says of every operation what it answers when all is well, and what else", () => {
    const silent = operations.filter(({ responses }) => !Object.keys(responses).some((status) => /^(?:2\d\d|101)$/.test(status)));
    expect(silent.map(({ operationId }) => operationId)).toEqual([]);
    const unsaid = operations.filter(({ responses }) => Object.values(responses).some((r) => r.description === "Default Response"));
    expect(unsaid.map(({ operationId }) => operationId)).toEqual([]);
  });
});

describe("a client that is generated from it", () => {
  let client: GeneratedClient;
  beforeAll(async () => {
    client = await generateClient(document);
  });
  afterAll(() => client.remove());

  it("compiles, with a program that asks before it writes", async () => {
    expect(await client.compile(PROGRAM)).toEqual({ code: 0, output: "" });
  });

  it.each([
    ["a misspelt member of a body", 'operation: "put"', 'operaton: "put"', "operaton"],
    ["a member that no answer has", "answer.data.denials", "answer.data.denial", "denial"],
    ["a status that is not answered", "answer.status === 429", "answer.status === 418", "no overlap"],
  ])("does not compile with %s", async (_, right, wrong, said) => {
    expect(PROGRAM).toContain(right);
    const { code, output } = await client.compile(PROGRAM.replace(right, wrong));
    expect(code).not.toBe(0);
    expect(output).toContain(said);
  });
});

const PROGRAM = `
import { defaults, getUsage, postCheck, putUsageCapsByMeter, type Cap, type Denial, type Problem } from "./weir.ts";

defaults.baseUrl = "http://127.0.0.1:8787";
defaults.headers = { authorization: "Bearer key" };

export async function mayWrite(account: string): Promise<Denial[]> {
  const answer = await postCheck({ account, service: "service_1", namespace: "Room", object: "room-1", operation: "put" });
  if (answer.status === 200) return answer.data.allowed ? [] : answer.data.denials;
  if (answer.status === 429) throw new Error(answer.data.code === "rate_limited" ? "wait" : answer.data.message);
  const problem: Problem = answer.data;
  throw new Error(problem.agent_instruction);
}

export async function used(account: string, meter: string): Promise<number> {
  const answer = await getUsage({ weirAccount: account });
  return answer.status === 200 ? (answer.data.meters.find((m) => m.meter === meter)?.used ?? 0) : NaN;
}

export async function cap(meter: string, capValue: number): Promise<Cap | null> {
  const answer = await putUsageCapsByMeter(meter, { period: "day", capValue });
  return answer.status === 200 ? answer.data : null;
}
`;
