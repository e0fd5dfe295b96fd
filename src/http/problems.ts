import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { hasZodFastifySchemaValidationErrors, isResponseSerializationError } from "fastify-type-provider-zod";
import { toProblem, validationFailed, WeirError, type FieldError } from "../kernel/errors.ts";
import { offersSocket } from "./upgrades.ts";
import { readOn } from "./unread-body.ts";

export const PROBLEM_TYPE = "application/problem+json";

const BODY_TOO_LARGE = "FST_ERR_CTP_BODY_TOO_LARGE";
/** Errors named in one answer. */
const FIELD_ERRORS_MAX = 20;
/** Characters of what is said of one field: what the caller sent, a thousand unknown names say, is not sent back to it. */
const FIELD_TEXT_MAX = 300;

/** Makes every error, whoever throws it, one problem document. */
export function registerProblems(app: FastifyInstance): void {
  app.setErrorHandler<FastifyError | WeirError>(sendProblem);
  let closing = false;
  app.addHook("preClose", async () => void (closing = true));
  app.addHook("onRequest", (_request, reply, done) => {
    if (!closing) return done();
    void reply.header("connection", "close");
    done(new WeirError("unavailable", "This process is stopping; another one will take the request.", { retryAfterSeconds: 1 }));
  });
  app.setNotFoundHandler((request) => {
    throw noSuchRoute(request);
  });
}

/** What nobody serves. */
export const noSuchRoute = ({ method, url }: FastifyRequest): WeirError =>
  new WeirError("not_found", `There is no ${method} ${pathOf(url)}.`);

/** Answers an error; what is no error of ours becomes one. */
export function sendProblem(error: FastifyError | WeirError, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const known = asWeirError(error);
  if ("code" in error && error.code === BODY_TOO_LARGE) readOn(request, reply);
  // Where a WebSocket was offered and refused, nobody reads on.
  if (offersSocket(request.raw)) void reply.header("connection", "close");
  if (known.status >= 500) request.log.error({ err: error }, known.code);
  if (known.retryAfterSeconds !== null) void reply.header("retry-after", String(known.retryAfterSeconds));
  if (known.code === "unauthorized") void reply.header("www-authenticate", "Bearer");
  const problem = toProblem(known, pathOf(request.url));
  // Serialized by hand: a route's response schemas describe what it answers when all is well.
  return reply.code(known.status).type(PROBLEM_TYPE).serializer(JSON.stringify).send(problem);
}

// The query may hold what nobody should read again, and an instance is a path.
const pathOf = (url: string): string => url.split("?", 1)[0] ?? url;

const shortened = (text: string): string => (text.length <= FIELD_TEXT_MAX ? text : `${text.slice(0, FIELD_TEXT_MAX)}…`);

/** `validation_failed`, with no more fields and no more of each than an answer should hold. */
export const fieldsFailed = (errors: readonly FieldError[]): WeirError =>
  validationFailed(errors.slice(0, FIELD_ERRORS_MAX).map(({ path, message }) => ({ path: shortened(path), message: shortened(message) })));

function asWeirError(error: FastifyError | WeirError): WeirError {
  if (error instanceof WeirError) return error;
  if (hasZodFastifySchemaValidationErrors(error)) {
    return fieldsFailed(
      error.validation.map((v) => ({ path: v.instancePath.split("/").filter(Boolean).join("."), message: v.message ?? "is invalid" })),
    );
  }
  if (isResponseSerializationError(error))
    return new WeirError("internal_error", "The answer could not be put into words.", { cause: error });
  switch (error.code) {
    case BODY_TOO_LARGE:
      return new WeirError("payload_too_large", "The body is larger than this route takes.");
    case "FST_ERR_CTP_INVALID_MEDIA_TYPE":
      return new WeirError("bad_request", "Send JSON: Content-Type: application/json.");
    case "FST_ERR_CTP_EMPTY_JSON_BODY":
    case "FST_ERR_CTP_INVALID_JSON_BODY":
      return new WeirError("invalid_json", "The body is not valid JSON.");
    default:
  }
  if (error instanceof SyntaxError) return new WeirError("invalid_json", "The body is not valid JSON.");
  const { statusCode } = error;
  if (statusCode === 413) return new WeirError("payload_too_large", "The request is larger than this server takes.");
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500)
    return new WeirError("bad_request", "The request cannot be understood.");
  return new WeirError("internal_error", "Something failed on our side; the log has it.", { cause: error });
}
