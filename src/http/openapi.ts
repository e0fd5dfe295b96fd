import type { SwaggerTransform, SwaggerTransformObject } from "@fastify/swagger";
import type { OpenAPIV3_1 } from "openapi-types";
import { jsonSchemaTransform } from "fastify-type-provider-zod";
import { ERROR_CATALOG } from "../kernel/errors.ts";

/** What every route may answer besides its own: RFC 9457, with a stable code. */
const PROBLEM: OpenAPIV3_1.ResponseObject = {
  description: "What went wrong, as a problem document (RFC 9457). `code` is stable.",
  content: {
    "application/problem+json": {
      schema: {
        type: "object",
        properties: {
          type: { type: "string" },
          title: { type: "string" },
          status: { type: "integer" },
          detail: { type: "string" },
          instance: { type: "string" },
          code: { type: "string", enum: Object.keys(ERROR_CATALOG) },
          message: { type: "string" },
          agent_instruction: { type: "string" },
          docs_url: { type: "string" },
          errors: { type: "array", items: { type: "object", properties: { path: { type: "string" }, message: { type: "string" } } } },
          denials: { type: "array", items: { type: "object" } },
        },
        required: ["type", "title", "status", "detail", "instance", "code", "message", "agent_instruction", "docs_url"],
      },
    },
  },
};

/** Makes a route's zod schemas OpenAPI: named by method and path, with the scopes it needs. */
export const openApiTransform: SwaggerTransform = (input) => {
  const { schema, url } = jsonSchemaTransform(input as Parameters<typeof jsonSchemaTransform>[0]);
  const { access } = input.route.config ?? {};
  if (access === undefined || schema.hide === true) return { schema, url };
  const method = String(input.route.method).toLowerCase();
  const documented = {
    ...withoutTimePatterns(schema),
    operationId: operationId(method, url),
    ...(access === "open" ? { security: [] } : { "x-scopes": access }),
  };
  return { schema: documented, url };
};

/** Adds to every operation the problem it may answer, named once. */
export const openApiDocument: SwaggerTransformObject = (document) => {
  if (!("openapiObject" in document)) return document.swaggerObject;
  const { openapiObject } = document;
  for (const path of Object.values(openapiObject.paths ?? {})) {
    for (const operation of Object.values(path ?? {})) {
      if (typeof operation === "object" && "responses" in operation)
        operation.responses = { ...operation.responses, default: PROBLEM_REFERENCE };
    }
  }
  return { ...openapiObject, components: { ...openapiObject.components, responses: { Problem: PROBLEM } } } as typeof openapiObject;
};

const PROBLEM_REFERENCE = { $ref: "#/components/responses/Problem" };

/** `get /v1/usage/caps/{meter}` → `getUsageCapsByMeter`. */
export function operationId(method: string, url: string): string {
  const words = url.replace("/v1", "").split("/").filter(Boolean);
  const named = words.map((word) => (word.startsWith(":") ? `By${capital(word.slice(1))}` : word.split(/[-.]/).map(capital).join("")));
  return method + named.join("");
}

const capital = (word: string): string => word.charAt(0).toUpperCase() + word.slice(1);

// zod spells out which years have a February 29: 400 characters for every time, where `format` says it.
function withoutTimePatterns<T>(schema: T): T {
  return JSON.parse(
    JSON.stringify(schema, (_, part: unknown) => {
      if (typeof part !== "object" || part === null || !("format" in part) || part.format !== "date-time") return part;
      return Object.fromEntries(Object.entries(part).filter(([name]) => name !== "pattern"));
    }),
  ) as T;
}
