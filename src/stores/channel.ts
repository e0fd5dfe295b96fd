import postgres from "postgres";
import { monotonicMs, sleep } from "../kernel/clock.ts";
import { newId } from "../kernel/ids.ts";

/** How often a process makes sure that it still hears. */
const BEAT_MS = 400;
/** What was told can have been missed for this long at most before a process knows that it may have been. */
const LIVE_MS = 1_200;
/** A connection that does not answer for so long is given up. */
const BEAT_TIMEOUT_MS = 3_000;
/** How long `settle` waits for the others: then those that are silent no longer trust what they remember. */
const SETTLE_MAX_MS = 1_500;
/** Any constant of ours: whoever listens holds this lock, shared, so that the listeners can be counted. */
const LISTENERS_LOCK = 7_193_471_103;
const ASK = "ask:";
const HEARD = "heard:";

export interface ChannelEvents {
  onMessage: (message: string) => void;
  /** Something may have been told that was not heard. */
  onGap: () => void;
}

/** What processes tell one another through Postgres: sent with a commit, heard within a millisecond. */
export interface Channel {
  /** Nothing told more than 1.2 s ago can have been missed. False while the connection is away, and where LISTEN does not work. */
  readonly live: boolean;
  /** Resolves when every process that is live has handled what was told before; at the latest when those that have not are live no more. */
  settle(): Promise<void>;
  close(): Promise<void>;
}

/** Listens to a channel of Postgres on a connection of its own, for as long as the process lives. */
export function openChannel(url: string, name: string, events: ChannelEvents): Channel {
  return new Listener(url, name, events);
}

class Listener implements Channel {
  readonly #url: string;
  readonly #name: string;
  readonly #events: ChannelEvents;
  readonly #stop = new AbortController();
  /** Questions of this process, and who is to be told of each answer. */
  readonly #asked = new Map<string, (from: string) => void>();
  readonly #id = newId("listener");
  readonly #loop: Promise<void>;
  #client: postgres.Sql;
  /** The backend that the subscription was made on. */
  #backend: number | null = null;
  #beatAt = Number.NEGATIVE_INFINITY;

  constructor(url: string, name: string, events: ChannelEvents) {
    this.#url = url;
    this.#name = name;
    this.#events = events;
    this.#client = this.#connect();
    this.#loop = this.#beat();
  }

  get live(): boolean {
    return this.#backend !== null && monotonicMs() - this.#beatAt < LIVE_MS;
  }

  async settle(): Promise<void> {
    const question = newId("question");
    const heard = new Set<string>();
    const done = new AbortController();
    let wanted = Number.POSITIVE_INFINITY;
    const look = (): void => {
      if (heard.size >= wanted) done.abort();
    };
    this.#asked.set(question, (from) => {
      heard.add(from);
      look();
    });
    try {
      const [row] = await this.#client<{ listeners: number }[]>`
        select count(*)::int as listeners, pg_notify(${this.#name}, ${ASK + question}) from pg_locks
        where locktype = 'advisory' and granted and mode = 'ShareLock' and database = (select oid from pg_database where datname = current_database())
          and (classid::bigint << 32) + objid::bigint = ${LISTENERS_LOCK}`;
      wanted = row?.listeners ?? 0;
      look();
      await sleep(SETTLE_MAX_MS, done.signal);
    } catch {
      // This process is cut off from Postgres itself. The others heard of the commit.
      await sleep(SETTLE_MAX_MS);
    } finally {
      this.#asked.delete(question);
    }
  }

  async close(): Promise<void> {
    this.#stop.abort();
    this.#backend = null;
    await this.#client.end({ timeout: 1 });
    await this.#loop;
  }

  async #beat(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      const from = monotonicMs();
      const backend = await this.#answerOf(this.#client);
      if (backend === null) this.#reconnect();
      else if (backend !== this.#backend) await this.#subscribe(backend);
      if (backend !== null && backend === this.#backend) this.#beatAt = from;
      await sleep(BEAT_MS, signal);
    }
  }

  /** The backend at the other end; null for none, or one that says nothing. */
  async #answerOf(client: postgres.Sql): Promise<number | null> {
    const timer = new AbortController();
    const late = sleep(BEAT_TIMEOUT_MS, timer.signal).then(() => null);
    const asked = client<{ pid: number }[]>`select pg_backend_pid() as pid`.then(
      ([row]) => row?.pid ?? null,
      () => null,
    );
    return Promise.race([asked, late]).finally(() => timer.abort());
  }

  /** The driver has connected anew by itself: what was told meanwhile is gone. */
  async #subscribe(backend: number): Promise<void> {
    this.#backend = null;
    try {
      await this.#client.unsafe(`listen ${this.#name}; select pg_advisory_lock_shared(${LISTENERS_LOCK})`).simple();
    } catch {
      return;
    }
    // On the same backend still? Else the next beat finds out.
    const now = await this.#answerOf(this.#client);
    if (now !== backend || this.#stop.signal.aborted) return;
    this.#backend = backend;
    this.#events.onGap();
  }

  #reconnect(): void {
    this.#backend = null;
    const dead = this.#client;
    this.#client = this.#connect();
    void dead.end({ timeout: 0 }).catch(() => {});
  }

  #hear(message: string): void {
    if (message.startsWith(ASK)) this.#reply(message.slice(ASK.length));
    else if (message.startsWith(HEARD)) {
      const [question = "", from = ""] = message.slice(HEARD.length).split(" ");
      this.#asked.get(question)?.(from);
    } else this.#events.onMessage(message);
  }

  #reply(question: string): void {
    // Whoever asked may be gone, and so may this connection: the one who waits has a time limit.
    this.#client`select pg_notify(${this.#name}, ${`${HEARD}${question} ${this.#id}`})`.catch(() => {});
  }

  #connect(): postgres.Sql {
    // The driver knows `onnotify`, its types do not.
    const undocumented = { onnotify: (_: string, message: string) => this.#hear(message), max_pipeline: 1 };
    return postgres(this.#url, {
      max: 1,
      connect_timeout: 5,
      max_lifetime: null,
      fetch_types: false,
      connection: { application_name: "weir listener", TimeZone: "UTC" },
      onnotice: () => {},
      onclose: () => (this.#backend = null),
      ...undocumented,
    });
  }
}
