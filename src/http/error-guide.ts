import { STATUS_CODES } from "node:http";
import { toProblem, WeirError, type ErrorCode, type Problem } from "../kernel/errors.ts";
import { PROBLEM_TYPE } from "./problems.ts";

/** What is told of one error code to people: the page its `type` leads to, and its section of docs/errors.md. Code is in backticks. */
export interface ErrorGuide {
  meaning: string;
  /** Why it happens, the likeliest first. */
  causes: readonly string[];
  /** What to do, in this order. */
  steps: readonly string[];
  example: {
    /** The request that was answered so. */
    request: string;
    detail: string;
    extra?: Record<string, unknown>;
    retryAfterSeconds?: number;
  };
}

const RESETS_AT = "2026-11-22T00:00:00.000Z";

export const ERROR_GUIDE: Readonly<Record<ErrorCode, ErrorGuide>> = {
  bad_request: {
    meaning: "The request cannot be understood as HTTP, or it is sent in a form this route does not take. Nothing was changed.",
    causes: [
      "The body has another media type than JSON, or none is named.",
      "The request did not arrive in time, or its headers are broken.",
      "The key belongs to no single account and the header `Weir-Account` is missing.",
    ],
    steps: [
      "Send `Content-Type: application/json`.",
      "Name the account: `Weir-Account: <account>`.",
      "Do not send the same request again: the answer stays.",
    ],
    example: { request: "POST /v1/check", detail: "Send JSON: Content-Type: application/json." },
  },
  invalid_json: {
    meaning: "The body is not JSON. Nothing of it was read.",
    causes: ["A quote or a comma is missing, often after a shell has taken the quotes away.", "The body is empty where one is needed."],
    steps: ["Let a JSON library write the body.", "In a shell, put the whole body in single quotes: `-d '{\"a\":1}'`."],
    example: { request: "POST /v1/check", detail: "The body is not valid JSON." },
  },
  validation_failed: {
    meaning:
      "The body, the path or the query is well formed, and holds a value that is not allowed. `errors` names each field. Nothing was changed.",
    causes: [
      "A field is missing or misspelt: unknown members are refused, so that a typing error cannot be taken for a wish.",
      "A quantity is negative, no integer, or greater than 2^53−1.",
      "A meter, an operation or a plan is not in the catalogue (`weir pricing` lists them).",
    ],
    steps: [
      "Correct every field that `errors` names; `path` is dotted, from the body's root.",
      "Compare with the schema of the route at `/docs`.",
    ],
    example: {
      request: "PUT /v1/usage/caps/state_requests",
      detail: "capValue: Too small: expected number to be >=0",
      extra: { errors: [{ path: "capValue", message: "Too small: expected number to be >=0" }] },
    },
  },
  unauthorized: {
    meaning: "The request has no key, or one that is not valid (any more).",
    causes: [
      "The header `Authorization: Bearer <key>` is missing.",
      "The key was deleted, has expired, or belongs to another Weir.",
      "The dashboard's session has ended.",
    ],
    steps: [
      "Send `Authorization: Bearer <key>`. `npm start` writes the operator's key into `.weir/credentials.json`.",
      "Ask an operator for a new key: `weir keys create --account <account>`.",
    ],
    example: { request: "GET /v1/usage", detail: "This call needs a valid key: Authorization: Bearer <key>." },
  },
  forbidden: {
    meaning: "The key is valid, and its scope does not allow this call.",
    causes: ["An account's key was used for a route of the operator's.", "A `read_only` key was used to change something."],
    steps: [
      "See which scopes the route takes: `x-scopes` of `/openapi.json`.",
      "Use a key that has one of them; `weir keys list` shows the scopes of an account's keys.",
    ],
    example: { request: "PUT /v1/accounts/acct_1", detail: "A key of scope account may not do this." },
  },
  not_found: {
    meaning: "There is no such thing, or it belongs to somebody else: what you may not see does not exist for you.",
    causes: ["The id is misspelt.", "It was deleted, or never created.", "It is another account's.", "There is no such route."],
    steps: [
      "List what there is, for example with `weir accounts list` or `weir state list --service <service>`.",
      "Check which account the key, `Weir-Account` or `--account` names.",
    ],
    example: { request: "GET /v1/accounts/acct_2", detail: "Account acct_2 was not found." },
  },
  conflict: {
    meaning: "The request does not fit what is there now. Nothing was changed.",
    causes: [
      "Somebody changed it at the same time.",
      "It has gone on already: a finalized invoice is never changed, a paid one is not voided.",
      "The name is taken.",
    ],
    steps: ["Read it again, then decide again."],
    example: { request: "POST /v1/services/service_1/state/namespaces", detail: "Service service_1 has a namespace Room already." },
  },
  idempotency_mismatch: {
    meaning: "This `idempotencyKey` was used before, for another request. The first decision stands; this request counted nothing.",
    causes: [
      "A key was made of something that is not unique to one operation.",
      "A retry was sent with a body that had changed, for example with the time in it.",
    ],
    steps: [
      "Send a retry byte for byte as it was.",
      "Make a new key for a new operation, for example a UUID. A key is kept for at least 24 hours.",
    ],
    example: {
      request: "POST /v1/check",
      detail: "This idempotencyKey was used for a different request; use a new key for a new operation.",
    },
  },
  reservation_expired: {
    meaning:
      "The reservation's `ttlSeconds` were over before it was settled: what it held went back to the account, once. Or the store that held it was lost.",
    causes: [
      "The work took longer than the reservation was made for (60 seconds unless told, 3,600 at most).",
      "The process stood still between the two calls.",
      "Redis lost its memory meanwhile. After an orderly restart reservations go on.",
    ],
    steps: [
      "Reserve again before the work is done again.",
      "Work that has happened all the same is reported after the fact: `POST /v1/events`.",
      "Reserve for longer: `ttlSeconds`.",
    ],
    example: {
      request: "POST /v1/reservations/res_1/settle",
      detail:
        "Reservation res_1 has expired: what it held has returned, nothing was counted. Reserve again, or report what happened as an event.",
    },
  },
  payload_too_large: {
    meaning: "The request is larger than it may be. Nothing was stored and nothing was counted.",
    causes: ["Key and value together pass 2 MiB (2,097,152 bytes).", "The body passes what the route takes, or the headers pass 16 KiB."],
    steps: [
      "Split the value over several keys, or store large bytes elsewhere and their address here.",
      "Send batches of at most 1,000 checks or events.",
    ],
    example: {
      request: "PUT /v1/services/service_1/state/namespaces/Room/objects/room-1/values/photo",
      detail: "Key and value together may have 2097152 bytes; this request has 3000005.",
      extra: {
        denials: [
          {
            code: "payload_too_large",
            meter: null,
            scope: "request",
            source: "ceiling",
            period: null,
            limit: 2_097_152,
            used: 0,
            reserved: 0,
            requested: 3_000_005,
            resetsAt: null,
            retryable: false,
            message: "Key and value together may have 2097152 bytes; this request has 3000005.",
            remedy: "Split the value over several keys, or store it elsewhere and keep a reference.",
          },
        ],
      },
    },
  },
  limit_exceeded: {
    meaning: "A limit would be passed. Nothing was written and nothing was counted: a denied operation is as if it had not been asked for.",
    causes: [
      "The plan's allowance of this window is used up (`source: plan`).",
      "A cap that the account set itself is reached (`source: cap`).",
      "An object is as large as it may be (`source: ceiling`), or all that the account stores is.",
    ],
    steps: [
      "Read `denials`: every limit that stood in the way is named, with what is used and what was asked for.",
      "Where `retryable` is true, wait until `resetsAt`; `Retry-After` says the same in seconds.",
      "Raise the cap (`weir limits set <meter> --period day --value <n>`), remove it (`weir limits delete <meter> --period day`), or change the plan.",
      "Where `retryable` is false, waiting does not help: free storage.",
    ],
    example: {
      request: "PUT /v1/services/service_1/state/namespaces/Room/objects/room-1/values/counter",
      detail: "state_sqlite_rows_written: the plan's limit is 100000 rows per day; 100000 used, 1 more asked for.",
      retryAfterSeconds: 42_060,
      extra: {
        denials: [
          {
            code: "limit_exceeded",
            meter: "state_sqlite_rows_written",
            scope: "account",
            source: "plan",
            period: "day",
            limit: 100_000,
            used: 100_000,
            reserved: 0,
            requested: 1,
            resetsAt: RESETS_AT,
            retryable: true,
            message: "state_sqlite_rows_written: the plan's limit is 100000 rows per day; 100000 used, 1 more asked for.",
            remedy: `Change to a larger plan (weir accounts plan acct_1 pro) or wait until ${RESETS_AT}.`,
          },
        ],
      },
    },
  },
  rate_limited: {
    meaning: "Too many requests came in too short a time. This has nothing to do with the account's limits.",
    causes: [
      "Wrong keys were tried again and again from one address.",
      "More pages watch usage at once, or more leases are open, than are kept.",
      "The account has used as many idempotency keys today as are kept.",
    ],
    steps: [
      "Wait for `Retry-After` seconds.",
      "Correct the key before trying again.",
      "Close what is not needed: pages that watch, leases of holders that are gone.",
    ],
    example: { request: "GET /v1/usage", detail: "Too many wrong keys came from this address.", retryAfterSeconds: 30 },
  },
  internal_error: {
    meaning: "Something failed that should not have. The server's log has the details; the answer never has.",
    causes: ["A defect of Weir, or a store that answered with something unexpected."],
    steps: ["Send the request again with the same `idempotencyKey`: it counts once.", "Ask `weir doctor`, then read the server's log."],
    example: { request: "GET /v1/usage", detail: "Something failed on our side; the log has it." },
  },
  unavailable: {
    meaning: "A store that is needed to decide does not answer. Nothing was decided, and unavailable is never an allow: do not write.",
    causes: ["Redis or Postgres is down or cannot be reached.", "The process is being stopped; another one takes the next request."],
    steps: [
      "Do not write.",
      "Wait for `Retry-After` seconds, then send the request again with the same `idempotencyKey`.",
      "Ask `weir doctor` what is down.",
    ],
    example: { request: "POST /v1/check", detail: "Redis cannot be reached; nothing was decided.", retryAfterSeconds: 1 },
  },
};

/** The problem document of a code's example, made as every problem is made. */
export function exampleProblem(code: ErrorCode): Problem {
  const { request, detail, extra = {} } = ERROR_GUIDE[code].example;
  return toProblem(new WeirError(code, detail, { extra }), request.slice(request.indexOf(" ") + 1));
}

/** The answer of a code's example as it comes over the wire. */
export function exampleAnswer(code: ErrorCode): string {
  const { request, retryAfterSeconds } = ERROR_GUIDE[code].example;
  const problem = exampleProblem(code);
  return [
    request,
    "",
    `HTTP/1.1 ${problem.status} ${STATUS_CODES[problem.status] ?? ""}`,
    `Content-Type: ${PROBLEM_TYPE}`,
    ...(retryAfterSeconds === undefined ? [] : [`Retry-After: ${retryAfterSeconds}`]),
    "",
    JSON.stringify(problem, null, 2),
  ].join("\n");
}
