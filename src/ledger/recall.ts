import { unavailable } from "../kernel/errors.ts";
import { every, monotonicMs, sleep } from "../kernel/clock.ts";
import type { Db } from "../stores/database.ts";
import { lastRecall, removeSource, reportSource, startRecall, unheardSources } from "./recall-store.ts";

/** How often a process looks whether it is called on: what a loss of Redis adds to the first check after it. */
const POLL_MS = 50;
/** How often a process shows that it lives when nobody calls. */
const ALIVE_EVERY_MS = 1_000;
const ANSWER_POLL_MS = 15;
/** How long one caller waits for the other processes; the recall goes on, and the caller's retry finds it further. */
const WAIT_MAX_MS = 2_000;

/**
 * What a lost Redis held of the last second is with the processes that acknowledged it, each its own part. Before an account is loaded
 * anew, whoever loads it therefore calls on all of them to book theirs: totals, sizes and answered keys. Without it a retry that comes
 * to another process than the first try would count a second time. One recall at a time in a process, and one answer; whoever comes meanwhile
 * shares the next. Without that a failover of 170 accounts on a busy machine had ten bookings of everything at once, and one took 5 s.
 */
export class Recall {
  readonly #db: Db;
  readonly #source: string;
  readonly #bookOwn: () => Promise<void>;
  #heard = 0;
  #reportedAt = Number.NEGATIVE_INFINITY;
  #timer: NodeJS.Timeout | null = null;
  #looking: Promise<void> = Promise.resolve();
  #recalling: Promise<void> = Promise.resolve();
  #nextRecall: Promise<void> | null = null;
  #answering: Promise<void> = Promise.resolve();
  #nextAnswer: Promise<void> | null = null;
  /** The latest recall that the next answer is for. */
  #asked = 0;
  /** Rises with every recall that this process has answered: an answer of Redis from before must no longer be passed on. */
  generation = 0;

  constructor(db: Db, source: string, bookOwn: () => Promise<void>) {
    this.#db = db;
    this.#source = source;
    this.#bookOwn = bookOwn;
  }

  /** Makes this process known, and answers the others from here on. Call it before the first check is answered. */
  async join(onTrouble: (error: unknown) => void): Promise<void> {
    // First known, then told what was called: nothing is called in between that this process would not hear of.
    await reportSource(this.#db, this.#source, 0);
    await this.#look();
    this.#timer = every(POLL_MS, () => (this.#looking = this.#look()), onTrouble);
  }

  /** Answers what others call for, and shows that this process lives. */
  async #look(): Promise<void> {
    const seq = await lastRecall(this.#db);
    if (seq > this.#heard) await this.#whileAlive(this.#answer(seq));
    else if (monotonicMs() - this.#reportedAt < ALIVE_EVERY_MS) return;
    await reportSource(this.#db, this.#source, this.#heard);
    this.#reportedAt = monotonicMs();
  }

  /**
   * Resolves when all that any living process had acknowledged at this moment is booked; throws `unavailable` where that takes long. The call goes
   * on all the same, and `whenBooked` is told.
   */
  async all(whenBooked: () => void = () => {}): Promise<void> {
    this.#nextRecall ??= this.#recalling.then(() => {
      this.#nextRecall = null;
      const recall = this.#recall();
      this.#recalling = recall.catch(() => {});
      return recall;
    });
    const booked = this.#nextRecall.then(whenBooked);
    // Heard below, or by nobody any more.
    booked.catch(() => {});
    const deadline = new AbortController();
    const late = sleep(WAIT_MAX_MS, deadline.signal).then(() => "late");
    const first = await Promise.race([booked, late]).finally(() => deadline.abort());
    if (first === "late") throw unavailable("Every process of Weir");
  }

  /**
   * Takes this process out: it has booked everything and acknowledges nothing more. Until then it answers: one that closed its epochs for
   * two seconds and was silent kept the others from loading those very accounts, which was a 503 for each.
   */
  async leave(): Promise<void> {
    if (this.#timer) clearInterval(this.#timer);
    // One that is under way would make it known again.
    await this.#looking.catch(() => {});
    await removeSource(this.#db, this.#source);
  }

  async #recall(): Promise<void> {
    const seq = await startRecall(this.#db);
    await this.#whileAlive(this.#answer(seq));
    // A silent process drops out after some seconds, so this ends.
    while ((await unheardSources(this.#db, this.#source, seq)) > 0) await sleep(ANSWER_POLL_MS);
  }

  /**
   * Answering may wait seconds for a stalled Redis. Taken for dead meanwhile, this process would book afterwards what the others had
   * counted anew without it (of 1,000 fault runs, one counted an operation twice by it).
   */
  async #whileAlive(answer: Promise<void>): Promise<void> {
    let answered = false;
    const done = answer.finally(() => (answered = true));
    done.catch(() => {});
    while (!answered) {
      const waiting = new AbortController();
      await Promise.race([done.catch(() => {}), sleep(ALIVE_EVERY_MS, waiting.signal)]);
      waiting.abort();
      if (!answered) await reportSource(this.#db, this.#source, this.#heard);
    }
    await done;
  }

  #answer(seq: number): Promise<void> {
    this.#asked = Math.max(this.#asked, seq);
    this.#nextAnswer ??= this.#answering.then(() => {
      this.#nextAnswer = null;
      const answer = this.#book(this.#asked);
      this.#answering = answer.catch(() => {});
      return answer;
    });
    return this.#nextAnswer;
  }

  async #book(seq: number): Promise<void> {
    this.generation += 1;
    await this.#bookOwn();
    this.#heard = Math.max(this.#heard, seq);
  }
}
