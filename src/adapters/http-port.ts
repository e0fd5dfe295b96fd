import { sleep } from "../kernel/clock.ts";
import { ERROR_CATALOG, WeirError, type ErrorCode } from "../kernel/errors.ts";
import type { Answer, MeasuredObject, MeterPort, Reserved, UsageEvent } from "./port.ts";

/** A call is given up after this long; Weir answers in milliseconds or says 503 itself. */
const CALL_TIMEOUT_MS = 5_000;
/** Tries of one call, the first one counted; the waits between them double. */
const TRIES = 3;
const FIRST_WAIT_MS = 50;
/** Events or objects in one request. */
const BATCH_MAX = 1_000;

export interface HttpPortOptions {
  /** Where Weir listens, such as `http://127.0.0.1:8787`. */
  url: string;
  /** A key of scope `data_plane`, or `account` for its own account. */
  key: string;
}

/** Weir over HTTP, without a package. Calls that may have been lost are repeated: each carries what lets it count once. */
export function httpPort({ url, key }: HttpPortOptions): MeterPort {
  const headers = { authorization: `Bearer ${key}`, "content-type": "application/json" };

  const post = async <T>(path: string, body: unknown): Promise<T> => {
    const text = JSON.stringify(body);
    let failure = new WeirError("unavailable", `${url} does not answer.`);
    for (let tries = 1, wait = FIRST_WAIT_MS; tries <= TRIES; tries++, wait *= 2) {
      if (tries > 1) await sleep(wait);
      try {
        const signal = AbortSignal.timeout(CALL_TIMEOUT_MS);
        const response = await fetch(`${url}${path}`, { method: "POST", headers, body: text, signal, redirect: "error" });
        if (response.ok) return (await response.json()) as T;
        const refused = await problemOf(response);
        if (response.status < 500 && refused.code !== "rate_limited") throw refused;
        failure = new WeirError("unavailable", refused.message);
      } catch (error) {
        if (error instanceof WeirError) throw error;
        failure = new WeirError("unavailable", `${url} does not answer.`, { cause: error });
      }
    }
    throw failure;
  };

  return {
    check: (request) => post<Answer>("/v1/check", request),
    reserve: (request, ttlSeconds) => post<Reserved>("/v1/check", { ...request, mode: "reserve", ttlSeconds }),
    settle: async (reservation, actual) => {
      try {
        await post(`/v1/reservations/${encodeURIComponent(reservation)}/settle`, actual);
        return true;
      } catch (error) {
        // Forgotten after a day: the same to whoever settles as expired.
        if (error instanceof WeirError && (error.code === "reservation_expired" || error.code === "not_found")) return false;
        throw error;
      }
    },
    release: async (reservation) => {
      await post(`/v1/reservations/${encodeURIComponent(reservation)}/release`, {});
    },
    record: async (events) => {
      for (let i = 0; i < events.length; i += BATCH_MAX) {
        const sent = events.slice(i, i + BATCH_MAX);
        const { rejected } = await post<Recorded>("/v1/events", sent.map(cloudEvent));
        const [first] = rejected;
        if (first) throw new WeirError(first.code, `${rejected.length} events were rejected, the first: ${first.detail}`);
      }
    },
    recount: async (account, objects) => {
      for (let i = 0; i < objects.length; i += BATCH_MAX) {
        const part: readonly MeasuredObject[] = objects.slice(i, i + BATCH_MAX);
        await post("/v1/recount", { account, objects: part });
      }
    },
  };
}

interface Recorded {
  rejected: { code: ErrorCode; detail: string }[];
}

function cloudEvent({ source, id, account, ...data }: UsageEvent): object {
  return { specversion: "1.0", type: "weir.usage", source, id, subject: account, data };
}

async function problemOf(response: Response): Promise<WeirError> {
  const problem: unknown = await response.json().catch(() => null);
  const { code, message } = (problem ?? {}) as { code?: string; message?: string };
  const known = code !== undefined && Object.hasOwn(ERROR_CATALOG, code) ? (code as ErrorCode) : "internal_error";
  return new WeirError(known, message ?? `Status ${response.status} without an explanation.`);
}
