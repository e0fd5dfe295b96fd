import { eq } from "drizzle-orm";
import { actor, setup, UserError } from "rivetkit";
import { createClient } from "rivetkit/client";
import { db, type DatabaseProvider, type RawAccess, type SqliteDatabase } from "rivetkit/db";
import { db as drizzle, integer, sqliteTable, text } from "rivetkit/db/drizzle";
import { rivetMeter, type RivetMeterOptions } from "../../../src/adapters/rivet/rivet.ts";

/** Actors of these tests are keyed [account, name]: the key says who pays. */
const payer: RivetMeterOptions["account"] = ({ key }) => key[0] ?? "";

interface RoomState {
  guests: number;
  names: string[];
  notes: Record<string, string>;
}

const freshState = (): RoomState => ({ guests: 0, names: [], notes: {} });

/** What happens once in an action that asks for it, by actor key. */
export const once = new Map<string, () => Promise<void> | void>();
const happenOnce = async (key: readonly string[]): Promise<void> => {
  const happening = once.get(key.join("/"));
  once.delete(key.join("/"));
  await happening?.();
};

const bytes = (text: string): Uint8Array => Buffer.from(text);

/** Every surface that an actor has. */
function room() {
  return actor({
    createState: freshState,
    vars: { seen: 0 },
    db: db({
      onMigrate: async (d) => {
        await d.execute("CREATE TABLE IF NOT EXISTS visits (id INTEGER PRIMARY KEY, name TEXT)");
        await d.execute("CREATE TABLE IF NOT EXISTS marks (id INTEGER)");
      },
    }),
    // Rivet connects for every action; what is told on connecting is told by those who ask for it.
    onConnect: async (c, conn) => {
      if ((conn.params as { tell?: boolean } | undefined)?.tell) await c.db.execute("INSERT INTO marks VALUES (1)");
    },
    onSleep: async (c) => {
      await happenOnce([...c.key, "asleep"]);
    },
    onRequest: async (c) => new Response(String((await c.db.execute("SELECT * FROM visits")).length)),
    onWebSocket: (c, socket) => {
      socket.addEventListener("message", (event: { data: unknown }) => {
        if (event.data === "write") void c.db.execute("INSERT INTO marks VALUES (2)").then(() => socket.send("written"));
        else socket.send("heard");
      });
    },
    actions: {
      nothing: () => "nothing",
      see: (c) => ++c.vars.seen,
      join: (c, name: string) => {
        c.state.guests += 1;
        c.state.names.push(name);
        return c.state.guests;
      },
      note: (c, name: string, text: string) => {
        c.state.notes[name] = text;
      },
      grow: (c, length: number) => {
        c.state.notes["large"] = "x".repeat(length);
      },
      forget: (c, name: string) => delete c.state.notes[name],
      replace: (c, state: RoomState) => {
        c.state = state;
      },
      state: (c) => c.state,
      largest: (c) => c.state.notes["large"]?.length,
      noteAndSave: async (c, name: string) => {
        c.state.notes[name] = "saved";
        await c.saveState({ immediate: true });
      },
      noteTwice: async (c) => {
        c.state.notes["a"] = "1";
        await new Promise((resolve) => setTimeout(resolve, 30));
        c.state.notes["b"] = "2";
      },
      noteUnlessDenied: (c) => {
        try {
          c.state.guests += 1;
        } catch (error) {
          return [(error as { code?: string }).code, c.state.guests];
        }
        return null;
      },
      sql: (c, ...statements: string[]) => Promise.all(statements.map((statement) => c.db.execute(statement))),
      sqlInOrder: async (c, ...statements: string[]) => {
        for (const statement of statements) await c.db.execute(statement);
      },
      sqlWith: (c, statement: string, ...args: unknown[]) => c.db.execute(statement, ...args),
      inOne: (c, ...statements: string[]) =>
        c.db.transaction(async (tx) => {
          for (const statement of statements) await tx.execute(statement);
        }),
      abandon: (c) =>
        c.db
          .transaction(async (tx) => {
            await tx.execute("INSERT INTO visits (name) VALUES ('y'), ('z')");
            await tx.execute("SELECT * FROM visits WHERE name IN ('y', 'z')");
            throw new Error("changed my mind");
          })
          .catch(() => "abandoned"),
      withState: (c) => c.db.transaction(async (tx) => tx.execute("SELECT 1"), { experimental: { includeState: true } }),
      measure: async (c) => {
        const [row] = await c.db.execute<{ bytes: number }>(
          "SELECT (SELECT page_count FROM pragma_page_count) * (SELECT page_size FROM pragma_page_size) AS bytes",
        );
        return row?.bytes ?? 0;
      },
      kvPut: (c, key: string, value: string) => c.kv.put(key, value),
      kvFill: (c, key: string, length: number) => c.kv.put(key, "x".repeat(length)),
      kvGet: (c, key: string) => c.kv.get(key),
      kvSize: async (c, key: string) => (await c.kv.get(key))?.length ?? null,
      kvDelete: (c, key: string) => c.kv.delete(key),
      kvList: (c) => c.kv.list(""),
      kvClear: (c) => c.kv.deleteRange(bytes("!"), bytes("~")),
      // Rivet keeps what is put in batches apart from what is put alone.
      kvBatch: async (c) => {
        await c.kv.batchPut([
          [bytes("b1"), bytes("1")],
          [bytes("b2"), bytes("2")],
        ]);
        const got = await c.kv.batchGet([bytes("b1"), bytes("zz")]);
        await c.kv.batchDelete([bytes("b1"), bytes("zz")]);
        return got.filter((value) => value !== null).length;
      },
      kvRange: async (c) => {
        for (const key of ["r1", "r2"]) await c.kv.put(key, "v");
        const listed = [await c.kv.listRange("r", "s"), await c.kv.listPrefix("r")];
        await c.kv.deleteRange(bytes("r"), bytes("s"));
        return [...listed, await c.kv.listPrefix("r")].map((entries) => entries.length);
      },
      plan: async (c, delayMs: number) => c.schedule.after(delayMs, "fire", "planned"),
      planAt: async (c, at: number) => c.schedule.at(at, "fire", "planned"),
      planned: async (c, id: string) => [(await c.schedule.list()).length, (await c.schedule.get(id))?.action],
      find: async (c, id: string) => (await c.schedule.get(id)) !== undefined,
      cancel: async (c, id: string) => c.schedule.cancel(id),
      cron: async (c) => {
        await c.cron.every({ name: "tick", interval: 3_600_000, action: "fire" });
        await c.cron.set({ name: "daily", expression: "0 0 * * *", action: "fire" });
        return [
          (await c.cron.list()).length,
          (await c.cron.get("tick"))?.kind,
          (await c.cron.history("tick")).length,
          await c.cron.delete("tick"),
        ];
      },
      fire: async (c) => {
        await happenOnce(c.key);
      },
      halfway: async (c) => {
        await c.db.execute("INSERT INTO visits (name) VALUES ('half')");
        await happenOnce(c.key);
        return "whole";
      },
      linger: (c) => {
        setTimeout(() => void c.db.execute("INSERT INTO marks VALUES (3)").then(() => happenOnce(c.key)), 20);
      },
      lingerWithState: (c) => {
        setTimeout(() => (c.state.guests = 99), 20);
      },
      announce: (c) => c.broadcast("news", "heard"),
      deep: { inside: (c) => c.state.guests },
      sleep: (c) => {
        c.sleep();
      },
      destroy: (c) => {
        c.destroy();
      },
    },
  });
}

const visits = sqliteTable("visits", { id: integer().primaryKey(), name: text().notNull() });

/** An actor that speaks to its database through Drizzle. */
const drizzled = () =>
  actor({
    db: drizzle({
      schema: { visits },
      onMigrate: async (d) => {
        await d.execute("CREATE TABLE IF NOT EXISTS visits (id INTEGER PRIMARY KEY, name TEXT NOT NULL)");
      },
    }),
    actions: {
      visit: async (c, ...names: string[]) => {
        await c.db.insert(visits).values(names.map((name) => ({ name })));
      },
      visitsOf: (c, name: string) => c.db.select().from(visits).where(eq(visits.name, name)),
      visitInOne: (c, ...names: string[]) =>
        c.db.transaction(async (tx) => {
          for (const name of names) await tx.execute("INSERT INTO visits (name) VALUES (?)", name);
        }),
    },
  });

/** The databases that `nativeDb` has opened, by actor: Rivet's context hands out none. */
const natives = new Map<string, SqliteDatabase>();

/** A provider that keeps hold of the database that Rivet opens for it. */
function nativeDb(): DatabaseProvider<RawAccess> {
  const common = db();
  return {
    createClient: (ctx) => {
      const { nativeDatabaseProvider: provider } = ctx;
      const open = async (actorId: string): Promise<SqliteDatabase> => {
        if (!provider) throw new Error("Rivet brings no database.");
        const opened = await provider.open(actorId);
        natives.set(actorId, opened);
        return opened;
      };
      return common.createClient({ ...ctx, nativeDatabaseProvider: { open } });
    },
    onMigrate: async (client) => {
      await client.execute("CREATE TABLE IF NOT EXISTS marks (id INTEGER)");
    },
  };
}

/** An actor that speaks to its database without a client between. */
function nativeRoom() {
  const native = ({ actorId }: { actorId: string }): SqliteDatabase => {
    const opened = natives.get(actorId);
    if (!opened) throw new Error("The actor's database is not open.");
    return opened;
  };
  return actor({
    db: nativeDb(),
    actions: {
      run: (c, sql: string, ...params: unknown[]) => native(c).run(sql, params),
      query: async (c, sql: string) => (await native(c).query(sql)).rows.length,
      exec: async (c, sql: string) => {
        let rows = 0;
        await native(c).exec(sql, () => (rows += 1));
        return rows;
      },
      batch: async (c, ...statements: string[]) => (await native(c).executeBatch(statements.map((sql) => ({ sql })))).length,
      begin: async (c, end: "commit" | "rollback", ...statements: string[]) => {
        const transaction = await native(c).beginTransaction();
        try {
          for (const sql of statements) await transaction.execute(sql);
          await transaction[end]();
        } catch (error) {
          await transaction.rollback();
          throw error;
        }
      },
    },
  });
}

/** An actor that has no database. */
const plainRoom = () =>
  actor({
    createState: freshState,
    actions: {
      note: (c, name: string, text: string) => {
        c.state.notes[name] = text;
      },
    },
  });

/** The registry of the tests: the same actor, metered in the ways there are. */
export function registryOf(endpoint: string, common: Omit<RivetMeterOptions, "UserError" | "account" | "service">) {
  const options: RivetMeterOptions = { ...common, UserError, account: payer, service: "rooms" };
  const declared = { inOne: { rowsRead: 10, rowsWritten: 2, growthBytes: 100_000 } };
  return setup({
    endpoint,
    startServices: false,
    noWelcome: true,
    use: {
      room: rivetMeter({ ...options, duration: false }).actor(room()),
      perOperation: rivetMeter({ ...options, duration: false, requestPer: "operation" }).actor(room()),
      declared: rivetMeter({ ...options, duration: false }).actor(room(), declared),
      timed: rivetMeter(options).actor(room()),
      strict: rivetMeter({ ...options, duration: false, outbox: true }).actor(room()),
      keyed: rivetMeter({ ...options, duration: false, callKey: (_action, args) => String(args[0]) }).actor(room()),
      drizzled: rivetMeter({ ...options, duration: false, requestPer: "operation" }).actor(drizzled()),
      native: rivetMeter({ ...options, duration: false, requestPer: "operation" }).actor(nativeRoom()),
      plain: rivetMeter({ ...options, duration: false }).actor(plainRoom()),
    },
  });
}

export type Rooms = ReturnType<typeof registryOf>;

export const clientOf = (endpoint: string) => createClient<Rooms>({ endpoint });
