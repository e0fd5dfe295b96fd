import type { OpenAPIV3_1 } from "openapi-types";
import { ERROR_CATALOG, type ErrorCode } from "../kernel/errors.ts";
import { ERROR_GUIDE, exampleProblem } from "./error-guide.ts";
import { PROBLEM_TYPE } from "./problems.ts";

/** Each status of the error catalogue with its codes, and what the document calls the answer. */
const NAMES: Readonly<Record<number, string>> = {
  400: "BadRequest",
  401: "Unauthorized",
  403: "Forbidden",
  404: "NotFound",
  409: "Conflict",
  413: "PayloadTooLarge",
  429: "TooMany",
  500: "InternalError",
  503: "Unavailable",
};

/** A route that needs no key answers these alone. */
const OPEN_STATUSES = [400, 413, 500, 503];

const codesOf = (status: number): ErrorCode[] =>
  (Object.keys(ERROR_CATALOG) as ErrorCode[]).filter((code) => ERROR_CATALOG[code].status === status);

/** RFC 9457, with the members every problem of ours has. */
const problemSchema: OpenAPIV3_1.SchemaObject = {
  type: "object",
  properties: {
    type: { type: "string", description: "A page about the code." },
    title: { type: "string" },
    status: { type: "integer" },
    detail: { type: "string", description: "What is wrong with this very request, and what to do." },
    instance: { type: "string", description: "The request's path." },
    code: { type: "string", enum: Object.keys(ERROR_CATALOG), description: "Stable: it never changes its meaning." },
    message: { type: "string", description: "The same as `detail`." },
    agent_instruction: { type: "string", description: "What a program that reads this does next." },
    docs_url: { type: "string", description: "The same as `type`." },
    errors: {
      type: "array",
      description: "With `validation_failed`: every field that is wrong.",
      items: { type: "object", properties: { path: { type: "string" }, message: { type: "string" } }, required: ["path", "message"] },
    },
    denials: {
      type: "array",
      description: "With `limit_exceeded` and `payload_too_large`: every limit that stood in the way.",
      items: { $ref: "#/components/schemas/Denial" },
    },
  },
  required: ["type", "title", "status", "detail", "instance", "code", "message", "agent_instruction", "docs_url"],
};

/** The schema and the answers that every route's problems refer to; `Denial` is among the named schemas of the routes. */
export function problemComponents(): Required<Pick<OpenAPIV3_1.ComponentsObject, "responses" | "schemas">> {
  const responses = Object.entries(NAMES).map(([status, name]) => [name, answerOf(Number(status))]);
  return { schemas: { Problem: problemSchema }, responses: Object.fromEntries(responses) as Record<string, OpenAPIV3_1.ResponseObject> };
}

function answerOf(status: number): OpenAPIV3_1.ResponseObject {
  const codes = codesOf(status);
  const examples = codes.map((code) => [code, { summary: ERROR_CATALOG[code].title, value: exampleProblem(code) }]);
  return {
    description: codes.map((code) => `\`${code}\`: ${ERROR_GUIDE[code].meaning}`).join("\n\n"),
    content: {
      [PROBLEM_TYPE]: {
        schema: {
          allOf: [{ $ref: "#/components/schemas/Problem" }, { type: "object", properties: { code: { type: "string", enum: codes } } }],
        },
        examples: Object.fromEntries(examples) as Record<string, OpenAPIV3_1.ExampleObject>,
      },
    },
  };
}

/** The problems a route may answer, by status. A read is in no conflict with anything, but where its account is not billed. */
export function problemsOf(method: string, url: string, needsKey: boolean): Record<string, OpenAPIV3_1.ReferenceObject> {
  const all = Object.keys(NAMES).map(Number);
  const some = needsKey || method !== "get" ? all : OPEN_STATUSES;
  const mayConflict = method !== "get" || url.startsWith("/v1/invoices");
  return Object.fromEntries(
    some
      .filter((status) => status !== 409 || mayConflict)
      .map((status) => [status, { $ref: `#/components/responses/${NAMES[status] ?? ""}` }]),
  );
}
