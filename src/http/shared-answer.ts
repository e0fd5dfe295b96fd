import { monotonicMs } from "../kernel/clock.ts";

/** For questions that anybody may put without a key: the stores are asked four times a second at most, however many ask here. */
const SHARED_FOR_MS = 250;

/** The same question, asked once at a time and at most once in `forMs`: whoever comes meanwhile shares the answer, or the error. */
export function shared<T>(ask: () => Promise<T>, forMs = SHARED_FOR_MS, now: () => number = monotonicMs): () => Promise<T> {
  let asked: { answer: Promise<T>; until: number } | null = null;
  return () => {
    if (asked && now() < asked.until) return asked.answer;
    const mine = { answer: ask(), until: Infinity };
    asked = mine;
    const answered = (): void => void (mine.until = now() + forMs);
    mine.answer.then(answered, answered);
    return mine.answer;
  };
}
