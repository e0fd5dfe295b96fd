import fastify from "fastify";
import { systemClock } from "../../../src/kernel/clock.ts";
import type { Engine } from "../../../src/engine.ts";
import { accountNames, makeAccounts, USAGE } from "../accounts.ts";
import type { Bench } from "../bench.ts";
import { startLoader } from "../http/loader.ts";
import { KEY, listening, serve, serveWorkers } from "../http/serve.ts";
import { atLeast, atMost, figure, versus, type Result } from "../result.ts";
import { interleave, median, p99, rate, type Subject } from "../rounds.ts";
import { openEngine } from "../stores.ts";

export const title =
  "POST /v1/check of four limited meters, and /v1/checks of a hundred, with keep-alive, from another process: beside a bare Fastify route with a JSON schema that parses the same body and sends the same answer. Decisions of batches are those of `weir serve --workers 2`; whatever stands beside the bare route is one process, as that is.";

const ACCOUNTS = 1_000;
const CALLERS = 32;
const BATCH = 100;
/** A hundred at once from fewer: as many as keep two cores busy. */
const BATCH_CALLERS = 8;
/** Processes that serve batches: one for each of two cores. */
const WORKERS = 2;
const DECISIONS_A_SECOND = 150_000;

export async function run(bench: Bench): Promise<Result[]> {
  const engine = await openEngine(bench);
  const names = accountNames(ACCOUNTS);
  await makeAccounts(engine.db, names, systemClock.now());
  const checks = names.map((account) => ({ account, service: "api", namespace: "Room", object: "room-1", usage: USAGE }));
  const answers = await warmedUp(engine, checks);
  const { port: weir } = await serve(bench, engine);
  const bare = await bareApp(bench, answers[0]);
  const send = startLoader(bench);
  const headers = { authorization: `Bearer ${KEY}`, "content-type": "application/json" };
  const { rounds, stretchMs: ms } = bench.profile;
  const both = { weir, bare };
  const subjectsOf = (ports: Record<string, number>, path: string, bodies: string[], callers: number): Subject[] =>
    Object.entries(ports).map(([name, port]) => ({ name, run: () => send({ port, path, headers, bodies, callers, ms }) }));
  const single = await interleave(
    subjectsOf(
      both,
      "/v1/check",
      checks.map((check) => JSON.stringify(check)),
      CALLERS,
    ),
    rounds,
  );
  const bodies = Array.from({ length: ACCOUNTS / BATCH }, (_, i) => JSON.stringify({ checks: checks.slice(i * BATCH, (i + 1) * BATCH) }));
  const workers = await serveWorkers(bench, WORKERS);
  const batch = await interleave(subjectsOf({ ...both, workers }, "/v1/checks", bodies, BATCH_CALLERS), rounds);
  const decisions = median((batch.get("workers") ?? []).map(rate)) * BATCH;
  return [
    versus("http.check.against_bare_route", "requests/s", single, ["weir", "bare"], rate, atLeast(0.7)),
    versus("http.check.p99_against_bare_route", "ms", single, ["weir", "bare"], p99, atMost(3)),
    figure("http.checks_of_100.decisions", "decisions/s", { value: decisions }, atLeast(DECISIONS_A_SECOND, "value")),
    versus("http.checks_of_100.against_bare_route", "requests/s", batch, ["weir", "bare"], rate),
  ];
}

/** Every account loaded; the answers are what the bare route sends. */
async function warmedUp(engine: Engine, checks: Parameters<Engine["gate"]["check"]>[0][]): Promise<unknown[]> {
  const answers: unknown[] = [];
  for (let i = 0; i < checks.length; i += 50) {
    answers.push(...(await Promise.all(checks.slice(i, i + 50).map((check) => engine.gate.check(check, systemClock.now())))));
  }
  return answers;
}

const OBJECT = { type: "object", additionalProperties: true } as const;

/** What Fastify does when asked for no more than parsing a body by its schema and writing an answer by its. */
async function bareApp(bench: Bench, answer: unknown): Promise<number> {
  const app = fastify();
  const check = {
    type: "object",
    required: ["account"],
    properties: {
      account: { type: "string" },
      service: { type: "string" },
      namespace: { type: "string" },
      object: { type: "string" },
      usage: OBJECT,
    },
  } as const;
  const meters = { type: "object", additionalProperties: OBJECT } as const;
  const decision = {
    type: "object",
    properties: {
      allowed: { type: "boolean" },
      decisionId: { type: "string" },
      reservation: { type: "null" },
      denials: { type: "array", items: OBJECT },
      meters,
    },
  } as const;
  app.post("/v1/check", { schema: { body: check, response: { 200: decision } } }, () => answer);
  const many = { type: "object", properties: { checks: { type: "array", items: check } } } as const;
  const decisions = { type: "object", properties: { decisions: { type: "array", items: decision } } } as const;
  app.post<{ Body: { checks: unknown[] } }>("/v1/checks", { schema: { body: many, response: { 200: decisions } } }, (request) => ({
    decisions: request.body.checks.map(() => answer),
  }));
  return listening(bench, app);
}
