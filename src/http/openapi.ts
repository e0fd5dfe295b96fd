import type { SwaggerTransform, SwaggerTransformObject } from "@fastify/swagger";
import type { OpenAPIV3_1 } from "openapi-types";
import { jsonSchemaTransform, jsonSchemaTransformObject } from "fastify-type-provider-zod";
import { REQUEST_EXAMPLES } from "./openapi-examples.ts";
import { problemComponents, problemsOf } from "./openapi-problems.ts";
import { ACCOUNT_HEADER, PARAMETERS, STATUSES, TAGS } from "./openapi-words.ts";

/** What stands at the head of the document. */
export const OPENAPI_HEAD = {
  openapi: "3.1.0",
  info: {
    title: "Weir",
    version: "1",
    description: "Metering, quotas and billing for stateful objects: exact limits, checked before the write.",
    license: { name: "Apache License 2.0", identifier: "Apache-2.0" },
  },
  servers: [{ url: "/", description: "The Weir that serves this document" }],
  tags: [...TAGS],
  components: { securitySchemes: { key: { type: "http" as const, scheme: "bearer" } } },
  security: [{ key: [] }],
};

/** Routes of one account: a key that belongs to none names it in a header. */
const OF_AN_ACCOUNT = /^\/v1\/(?:usage|services|notifications|webhooks|invoices)(?:\/|$)/;

/** Makes a route's zod schemas OpenAPI: named by method and path, with the scopes it needs. */
export const openApiTransform: SwaggerTransform = (input) => {
  const { schema, url } = jsonSchemaTransform(input as Parameters<typeof jsonSchemaTransform>[0]);
  const { access } = input.route.config ?? {};
  if (access === undefined || schema.hide === true) return { schema, url };
  const method = String(input.route.method).toLowerCase();
  const needs = access === "open" ? "Needs no key." : `Needs a key of scope ${access.map((scope) => `\`${scope}\``).join(", ")}.`;
  const documented = {
    ...schema,
    description: schema.description === undefined ? needs : `${schema.description}\n\n${needs}`,
    operationId: operationId(method, url),
    ...(access === "open" ? { security: [] } : { "x-scopes": access }),
  };
  return { schema: documented, url };
};

/** An operation with the scopes that openApiTransform gave it. */
type Operation = OpenAPIV3_1.OperationObject & { "x-scopes"?: readonly string[] };

/** Adds to every operation what it shares with others: the header that names the account, what parameters mean, the problems it may answer. */
export const openApiDocument: SwaggerTransformObject = (document) => {
  if (!("openapiObject" in document)) return document.swaggerObject;
  const openapiObject = document.openapiObject as OpenAPIV3_1.Document;
  for (const [url, path] of Object.entries(openapiObject.paths ?? {})) {
    for (const [method, operation] of Object.entries(path ?? {})) {
      if (typeof operation === "object" && "responses" in operation) complete(method, url, operation);
    }
  }
  const { schemas, responses } = problemComponents();
  const named = jsonSchemaTransformObject(document) as OpenAPIV3_1.Document;
  const components = { ...openapiObject.components, schemas: { ...named.components?.schemas, ...schemas }, responses };
  return withoutTimePatterns({ ...openapiObject, components: onlyUsed(openapiObject.paths, components) }) as typeof document.openapiObject;
};

const REFERENCE = /"#\/components\/schemas\/([A-Za-z0-9]+)"/g;

/** The components without schemas that nothing refers to: a schema that has a name is made in two forms, as it is sent and as it is taken. */
function onlyUsed(paths: unknown, components: OpenAPIV3_1.ComponentsObject): OpenAPIV3_1.ComponentsObject {
  const schemas = components.schemas ?? {};
  const used = new Set<string>();
  const look = (part: unknown): void => {
    for (const [, name = ""] of JSON.stringify(part).matchAll(REFERENCE)) {
      if (used.has(name)) continue;
      used.add(name);
      look(schemas[name]);
    }
  };
  look([paths, components.responses]);
  return { ...components, schemas: Object.fromEntries(Object.entries(schemas).filter(([name]) => used.has(name))) };
}

function complete(method: string, url: string, operation: Operation): void {
  const scopes = operation["x-scopes"];
  const parameters = (operation.parameters ?? []) as OpenAPIV3_1.ParameterObject[];
  for (const parameter of parameters) parameter.description ??= PARAMETERS[parameter.name] ?? "";
  if (scopes?.includes("account") === true && OF_AN_ACCOUNT.test(url)) parameters.push(ACCOUNT_HEADER);
  if (parameters.length > 0) operation.parameters = parameters;
  const example = REQUEST_EXAMPLES[operation.operationId ?? ""];
  if (example !== undefined && operation.requestBody && "content" in operation.requestBody)
    for (const media of Object.values(operation.requestBody.content)) media.example = example;
  for (const [status, response] of Object.entries(operation.responses ?? {})) {
    if ("description" in response && response.description === UNSAID) response.description = STATUSES[status] ?? UNSAID;
  }
  operation.responses = { ...problemsOf(method, url, scopes !== undefined), ...operation.responses };
}

/** What @fastify/swagger says of an answer that says nothing itself. */
const UNSAID = "Default Response";

/** `get /v1/usage/caps/{meter}` → `getUsageCapsByMeter`. */
export function operationId(method: string, url: string): string {
  const words = url.replace("/v1", "").split("/").filter(Boolean);
  const named = words.map((word) => {
    const parts = word.replace(":", "").split(/[-.]/).map(capital).join("");
    return word.startsWith(":") ? `By${parts}` : parts;
  });
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
