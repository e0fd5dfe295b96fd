import { AsyncLocalStorage } from "node:async_hooks";
import { UNMETERED, type EnterCall } from "../enter.ts";
import type { MeteredCall, Declared } from "../metered-call.ts";
import { meteredSocket, type Socket } from "../metered-socket.ts";
import { meteredDatabase, type Database } from "../metered-sqlite.ts";
import { meteredContext, type Context } from "./context.ts";
import { isFiring } from "./surfaces.ts";
import { openWake, type RivetMeterOptions, type Wake } from "./wake.ts";

export { httpPort } from "../http-port.ts";
export type { RivetMeterOptions } from "./wake.ts";

type Handler = (c: Context, ...rest: unknown[]) => unknown;
type Actions = { [name: string]: Handler | Actions };

/** What is used of a database provider, such as `db({ … })`. */
interface Provider {
  createClient(ctx: { actorId: string; nativeDatabaseProvider?: { open(actorId: string): Promise<Database> } }): Promise<unknown>;
  onMigrate(client: unknown): unknown;
}

type Config = Record<string, unknown> & { actions?: Actions; db?: Provider };

/** What `actor({ … })` answers. */
interface Definition {
  readonly config: object;
}

/** Hooks that are handed the context and are not calls: what they do is counted operation by operation. */
const HOOKS = ["onBeforeConnect", "onConnect", "onDisconnect", "onBeforeActionResponse"] as const;

export interface RivetMeter {
  /** Meters an actor, in place. `declared` says what an action does at most, by its name. */
  actor<D extends Definition>(definition: D, declared?: Readonly<Record<string, Declared>>): D;
}

/** Meters actors: Weir decides and counts what their actions do. README.md has the table. */
export function rivetMeter(options: RivetMeterOptions): RivetMeter {
  return {
    actor: (definition, declared = {}) => {
      const config = definition.config as Config;
      if (options.outbox && !config.db) throw new TypeError("The outbox is a table of the actor's own database: give the actor a db.");
      new MeteredActor({ requestPer: "invocation", ...options }, declared).meter(config);
      return definition;
    },
  };
}

class MeteredActor {
  readonly #options: RivetMeterOptions;
  readonly #declared: Readonly<Record<string, Declared>>;
  readonly #wakes = new Map<string, Wake>();
  readonly #databases = new Map<string, Database>();
  /** The call that code runs for; null where what it does is not metered. */
  readonly #current = new AsyncLocalStorage<MeteredCall | null>();

  constructor(options: RivetMeterOptions, declared: Readonly<Record<string, Declared>>) {
    this.#options = options;
    this.#declared = declared;
  }

  meter(config: Config): void {
    if (config.actions) config.actions = this.#actions(config.actions, "");
    if (config.db) this.#database(config.db);
    const replace = (name: string, by: (hook: Handler) => Handler): void => {
      const hook = config[name];
      if (typeof hook === "function") config[name] = by(hook as Handler);
    };
    for (const name of HOOKS) replace(name, this.#seeing);
    // A workflow carries members of its own; it reaches the database, which is metered, and nothing else of the context.
    if (typeof config["run"] === "function" && Reflect.ownKeys(config["run"]).length <= 2) replace("run", this.#seeing);
    replace(
      "onRequest",
      (hook) =>
        (c, ...rest) =>
          this.#call(c, "onRequest", rest, hook),
    );
    replace("onWebSocket", (hook) => (c, socket) => {
      const { stay } = this.#wakeOf(c);
      return this.#call(c, "onWebSocket", [meteredSocket(socket as Socket, () => stay.affordRequest())], hook);
    });
    // What the actor has no hook for is done all the same.
    for (const name of ["onWake", "onSleep", "onDestroy", "onStateChange"]) config[name] ??= () => undefined;
    replace("onWake", (hook) => this.#onWake(this.#seeing(hook)));
    for (const name of ["onSleep", "onDestroy"]) replace(name, (hook) => this.#onEnd(this.#seeing(hook)));
    replace("onStateChange", (hook) => this.#onStateChange(hook));
  }

  /** A hook that is no call: every operation is one of its own. */
  readonly #seeing =
    (hook: Handler): Handler =>
    (c, ...rest) =>
      hook(this.#seen(c, null), ...rest);

  #actions(actions: Actions, prefix: string): Actions {
    const metered = Object.entries(actions).map(([name, action]): [string, Handler | Actions] => {
      const path = `${prefix}${name}`;
      if (typeof action !== "function") return [name, this.#actions(action, `${path}.`)];
      return [name, (c, ...args) => this.#call(c, path, args, action)];
    });
    return Object.fromEntries(metered);
  }

  /** One call of an action or a request hook. */
  async #call(c: Context, name: string, args: unknown[], handle: Handler): Promise<unknown> {
    const { stay } = this.#wakeOf(c);
    const call = stay.newCall(this.#options.callKey?.(name, args));
    return stay.carryOut(call, this.#declared[name], async () => {
      // Of an alarm the delivery is an operation; where the call is the request, it has been counted.
      if (isFiring(args.at(-1))) await call.afford({ operations: 1 });
      return this.#current.run(call, () => handle(this.#seen(c, call), ...args));
    });
  }

  #onWake(hook: Handler): Handler {
    return async (c, ...rest) => {
      this.#wakes.delete(c.actorId);
      await this.#wakeOf(c).stay.outbox?.open(this.#options.meter).catch(this.#trouble);
      return hook(c, ...rest);
    };
  }

  #onEnd(hook: Handler): Handler {
    return async (c, ...rest) => {
      try {
        return await hook(c, ...rest);
      } finally {
        await this.#wakes.get(c.actorId)?.stay.end().catch(this.#trouble);
        this.#wakes.delete(c.actorId);
        this.#databases.delete(c.actorId);
      }
    };
  }

  /** Once a tick in which state changed: what no action has counted (a hook, the inspector) is counted here. */
  #onStateChange(hook: Handler): Handler {
    return (c, ...rest) => {
      const wake = this.#wakes.get(c.actorId);
      if (wake && !wake.state.counted) wake.stay.recordStateChange().catch(this.#trouble);
      if (wake) wake.state.counted = false;
      return hook(c, ...rest);
    };
  }

  /** Meters what an actor's client does with its database. Migrations are the deployment's, and count nothing. */
  #database(provider: Provider): void {
    const createClient = provider.createClient.bind(provider);
    const onMigrate = provider.onMigrate.bind(provider);
    provider.onMigrate = (client) => this.#current.run(null, () => onMigrate(client));
    provider.createClient = (ctx) => {
      const native = ctx.nativeDatabaseProvider;
      if (!native) return createClient(ctx);
      // Changed in place: by this very object rivetkit knows transactions that include the state.
      const open = native.open.bind(native);
      native.open = async (actorId) => {
        const database = await open(actorId);
        this.#databases.set(actorId, database);
        const outboxOf = () => this.#wakes.get(actorId)?.stay.outbox ?? null;
        return meteredDatabase(database, () => this.#enter(actorId), outboxOf);
      };
      return createClient(ctx);
    };
  }

  /** The call that database work belongs to. */
  async #enter(actorId: string): ReturnType<EnterCall> {
    const call = this.#current.getStore();
    const wake = this.#wakes.get(actorId);
    if (call && wake && !call.over) return wake.stay.enterIn(call);
    return call === null || !wake ? { call: UNMETERED, leave: () => Promise.resolve() } : wake.stay.enterAlone();
  }

  #seen(c: Context, call: MeteredCall | null): Context {
    return meteredContext(c, this.#wakeOf(c), call);
  }

  readonly #trouble = (error: unknown): void => this.#options.onTrouble?.(error);

  #wakeOf(c: Context): Wake {
    const wake = this.#wakes.get(c.actorId) ?? openWake(this.#options, c, this.#databases.get(c.actorId) ?? null);
    this.#wakes.set(c.actorId, wake);
    return wake;
  }
}
