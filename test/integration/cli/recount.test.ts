import { afterAll, beforeAll, expect, test } from "vitest";
import { startWeir, type RunningWeir } from "./weir.ts";

let server: RunningWeir;

beforeAll(async () => {
  server = await startWeir();
});
afterAll(() => server.stop());

const weir = (line: string) => server.weir(line.split(" "));
const ACCOUNT = "acct_demo";

test("the recount says what differed, then that nothing does; --json is one document", async () => {
  await weir("state create --service s Room");
  await weir("state put --service s Room room-1 k 1");
  expect(await weir("recount")).toMatchObject({ code: 0, stdout: "1 object measured; all as counted.\n" });
  const objects = [{ service: "s", namespace: "Room", object: "room-1", storageBytes: 5 }];
  expect(await server.api("POST", "/v1/recount", ACCOUNT, { account: ACCOUNT, objects })).toMatchObject({ changed: 1 });
  const { code, stdout } = await weir("recount --service s");
  expect(code).toBe(0);
  expect(stdout).toMatch(/\ns +Room +room-1 +5 B +12\.3 kB\n/);
  expect(stdout).toContain("1 object measured; 1 differed, stored bytes +12.3 kB.");
  expect(JSON.parse((await weir("recount --json")).stdout)).toEqual({ objects: 1, changed: 0, differenceBytes: 0, differences: [] });
});

test("the doctor shows what the server found, frees on request", async () => {
  const well = await weir("doctor");
  expect(well.code).toBe(0);
  expect(well.stdout).toMatch(/\nmigrations +ok +\d+ have run/);
  expect(well.stdout).toMatch(/\ninvariant grants-within-limit +ok +holds/);
  expect(await weir(`doctor --reclaim ${ACCOUNT}`)).toMatchObject({ code: 0, stdout: `${ACCOUNT}: nothing is stranded.\n` });
  expect((await weir("doctor --reclaim acct_none")).code).toBe(1);
});
