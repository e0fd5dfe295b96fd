import { monotonicMs } from "../../src/kernel/clock.ts";
import { RawConnection, type RawAnswer } from "../support/raw-http.ts";
import type { FuzzRequest } from "./requests.ts";

/** An answer that takes longer is a hang. */
export const HANG_MS = 1_000;
/** How long one that hangs is waited for all the same, to tell slow from never. */
const PATIENCE_MS = 20_000;

/** How a request ended. */
export interface Outcome {
  request: FuzzRequest;
  /** Null where the connection was closed without an answer. */
  status: number | null;
  body: string;
  tookMs: number;
  /** It took longer than it may: a hang, if it does so again. */
  late: boolean;
  /** What must not be, in words; null when all is well. */
  fault: string | null;
}

/** One client: a connection kept open, a request after the other. */
export class Lane {
  readonly #url: string;
  readonly #hangMs: number;
  #connection: RawConnection | null = null;

  constructor(url: string, hangMs: number) {
    this.#url = url;
    this.#hangMs = hangMs;
  }

  async send(request: FuzzRequest): Promise<Outcome> {
    const connection = this.#open();
    const { headOnly, bytes } = request;
    const began = monotonicMs();
    connection.send(bytes);
    const answer = await connection.answer({ headOnly, waitMs: PATIENCE_MS }).catch(() => "never" as const);
    const tookMs = monotonicMs() - began;
    const unread = answer !== "never" && answer !== null && mustClose(answer) ? 0 : connection.unread;
    if (answer === "never" || answer === null || headOnly || mustClose(answer)) this.end();
    const late = tookMs > this.#hangMs;
    if (answer === "never") return { request, status: null, body: "", tookMs, late, fault: `no answer in ${PATIENCE_MS / 1_000} s` };
    const { status, body } = answer ?? { status: null, body: "" };
    return { request, status, body, tookMs, late, fault: faultOf(status, headOnly ? 0 : unread) };
  }

  end(): void {
    this.#connection?.end();
    this.#connection = null;
  }

  #open(): RawConnection {
    if (this.#connection?.isClosed) this.#connection = null;
    this.#connection ??= new RawConnection(this.#url);
    return this.#connection;
  }
}

const mustClose = ({ status, headers }: RawAnswer): boolean => status === 101 || headers["connection"]?.toLowerCase() === "close";

function faultOf(status: number | null, unread: number): string | null {
  if (status !== null && (status >= 500 || Number.isNaN(status))) return `answered ${status}`;
  return unread > 0 ? `${unread} bytes more than the answer came` : null;
}
