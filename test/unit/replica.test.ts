import { beforeEach, describe, expect, test } from "vitest";
import type { Run } from "../../src/stores/postgres-dialect.ts";
import { Replica } from "../../src/stores/replica.ts";

type Answer = Record<string, unknown>[] | Error;

let now: number;
let asked: string[];
let reached: Answer;
let read: Answer;
let replica: Replica;

/** Answers as told, and notes who was asked. */
const server =
  (name: string, answer: () => Answer): Run =>
  async () => {
    asked.push(name);
    const given = answer();
    if (given instanceof Error) throw given;
    return given as unknown as Awaited<ReturnType<Run>>;
  };
const failure = (code: string): Error => Object.assign(new Error(code), { code });

beforeEach(() => {
  now = 0;
  asked = [];
  reached = [{ reached: true }];
  read = [{ from: "replica" }];
  replica = new Replica(
    {
      primaryHouse: server("how far is the primary", () => [{ position: "0/1" }]),
      replicaHouse: server("how far is the replica", () => reached),
      replica: server("replica", () => read),
      primary: server("primary", () => [{ from: "primary" }]),
    },
    () => now,
  );
});

const answerer = async (): Promise<unknown> => {
  const [row] = await replica.run("select", []);
  return row?.["from"];
};

describe("a replica", () => {
  test("that has all the primary had is read", async () => {
    expect(await answerer()).toBe("replica");
  });

  test("that gets what was written a moment ago is waited for", async () => {
    const answers: Answer[] = [[{ reached: false }], [{ reached: null }], [{ reached: true }]];
    replica = new Replica({
      primaryHouse: server("how far is the primary", () => [{ position: "0/1" }]),
      replicaHouse: server("how far is the replica", () => answers.shift() ?? new Error("asked once more")),
      replica: server("replica", () => read),
      primary: server("primary", () => [{ from: "primary" }]),
    });
    expect(await answerer()).toBe("replica");
    expect(answers).toEqual([]);
  });

  test.each<[string, Answer]>([
    ["is behind", [{ reached: false }]],
    ["has replayed nothing", [{ reached: null }]],
  ])("that %s is not, but asked the next time", async (_, answer) => {
    reached = answer;
    expect(await answerer()).toBe("primary");
    reached = [{ reached: true }];
    expect(await answerer()).toBe("replica");
  });

  test("that is away rests for five seconds", async () => {
    reached = failure("ECONNREFUSED");
    expect(await answerer()).toBe("primary");
    reached = [{ reached: true }];
    now = 4_999;
    asked = [];
    expect(await answerer()).toBe("primary");
    expect(asked).toEqual(["primary"]);
    now = 5_000;
    expect(await answerer()).toBe("replica");
  });

  test.each(["57P01", "CONNECTION_CLOSED"])("that goes away while it reads (%s) rests too; the primary answers", async (code) => {
    read = failure(code);
    expect(await answerer()).toBe("primary");
    asked = [];
    await answerer();
    expect(asked).toEqual(["primary"]);
  });

  test("that is overtaken by what the primary cleans up does not", async () => {
    read = failure("40001");
    expect(await answerer()).toBe("primary");
    read = [{ from: "replica" }];
    expect(await answerer()).toBe("replica");
  });

  test.each(["25006", "42501", "42601"])("that says the statement is wrong (%s) is believed", async (code) => {
    read = failure(code);
    await expect(answerer()).rejects.toThrow(code);
    expect(asked).not.toContain("primary");
  });
});
