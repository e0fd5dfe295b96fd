/** The line on which figures move: Server-Sent Events, read with fetch, since EventSource cannot name an account. */
import { problemOf, send, CallProblem } from "./api.js";
import { heardTime, pause } from "./clock.js";
import { change } from "./store.js";

const WAIT_MIN_MS = 500;
const WAIT_MAX_MS = 10_000;
/** An event is about 10 kB; more than this without an end is none of ours. */
const EVENT_CHARS_MAX = 2_000_000;

let stop = new AbortController();

/** Follows an account, until another is followed or the page is hidden; goes on when it is seen again. */
export function follow() {
  stop.abort();
  stop = new AbortController();
  if (!document.hidden) void keepReading(stop.signal);
}

/** Stops following. */
export function unfollow() {
  stop.abort();
}

/** @param {AbortSignal} signal */
async function keepReading(signal) {
  let wait = WAIT_MIN_MS;
  while (!signal.aborted) {
    try {
      await read(signal, () => (wait = WAIT_MIN_MS));
    } catch (error) {
      const { status, message } = problemOf(error);
      if (signal.aborted || status === 401) return;
      change({ line: "trouble", trouble: status === 0 ? "The line to Weir is broken; trying again." : message });
      if (status === 404) return;
    }
    await pause(wait, signal);
    wait = Math.min(WAIT_MAX_MS, wait * 2);
  }
}

/** @param {AbortSignal} signal
 * @param {() => void} onOpen */
async function read(signal, onOpen) {
  const response = await send("GET", "/v1/usage/stream", { signal, lasting: true });
  if (!response.ok || !response.body)
    throw new CallProblem({ code: "unavailable", status: response.status, message: "There is no live line." });
  onOpen();
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    text += part.value;
    const events = text.split("\n\n");
    text = events.pop() ?? "";
    for (const event of events) take(event);
    if (text.length > EVENT_CHARS_MAX) return;
  }
}

/** @param {string} text */
function take(text) {
  const name = /^event: (.+)$/m.exec(text)?.[1];
  const data = /^data: (.+)$/m.exec(text)?.[1];
  if (name === undefined || data === undefined) return;
  const body = JSON.parse(data);
  if (name === "usage") {
    heardTime(body.asOf);
    change({ usage: body, line: "live", trouble: null });
  } else if (name === "denials") change({ denials: body.denials });
  else if (name === "trouble") change({ line: "trouble", trouble: body.message });
}

document.addEventListener("visibilitychange", () => (document.hidden ? unfollow() : follow()));
