import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { path } from "../../src/cli/api.ts";
import { resolveConnection } from "../../src/cli/connection.ts";
import { CommandFailure } from "../../src/cli/failure.ts";

let dir = "";
const env = (more: Record<string, string> = {}): Record<string, string> => ({ WEIR_DATA_DIR: dir, ...more });

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "weir-cli-"));
  writeFileSync(join(dir, "credentials.json"), JSON.stringify({ url: "http://127.0.0.1:8787", key: "file-key", account: "acct_demo" }));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

describe("where the API is, and as whom", () => {
  test("the file that npm start wrote", () => {
    expect(resolveConnection({}, env())).toMatchObject({
      url: "http://127.0.0.1:8787",
      key: "file-key",
      account: "acct_demo",
      keyWithheldFor: null,
    });
  });

  test("the environment goes before the file, a flag before both", () => {
    const both = env({ WEIR_KEY: "env-key", WEIR_ACCOUNT: "acct_env" });
    expect(resolveConnection({}, both)).toMatchObject({ key: "env-key", account: "acct_env" });
    expect(resolveConnection({ key: "flag-key", account: "acct_flag" }, both)).toMatchObject({ key: "flag-key", account: "acct_flag" });
  });

  test("the file's account does not go with another key", () => {
    expect(resolveConnection({}, env({ WEIR_KEY: "file-key" }))).toMatchObject({ key: "file-key", account: "acct_demo" });
    expect(resolveConnection({ key: "account-key" }, env())).toMatchObject({ key: "account-key", account: null });
  });

  test("the file's key is not sent to another address", () => {
    const elsewhere = resolveConnection({ url: "https://weir.example.com" }, env());
    expect(elsewhere).toMatchObject({ key: null, account: null, keyWithheldFor: "http://127.0.0.1:8787" });
    expect(resolveConnection({ url: "http://127.0.0.1:9999" }, env()).key).toBeNull();
    expect(resolveConnection({ url: "https://127.0.0.1:8787" }, env()).key).toBeNull();
  });

  test("localhost and 127.0.0.1 are one address, and a path is kept", () => {
    expect(resolveConnection({ url: "http://localhost:8787/" }, env())).toMatchObject({ url: "http://localhost:8787", key: "file-key" });
    expect(resolveConnection({ url: "https://x.example/weir/" }, env()).url).toBe("https://x.example/weir");
  });

  test("without a file there is an address, and no key", () => {
    expect(resolveConnection({}, { WEIR_DATA_DIR: join(dir, "none") })).toMatchObject({
      url: "http://127.0.0.1:8787",
      key: null,
      account: null,
    });
  });

  test.each(["ftp://x", "nonsense", ""])("%j is no address", (url) => {
    expect(() => resolveConnection({ url }, env())).toThrow(CommandFailure);
  });

  test("a damaged file is named", () => {
    const broken = mkdtempSync(join(tmpdir(), "weir-cli-"));
    writeFileSync(join(broken, "credentials.json"), "{");
    expect(() => resolveConnection({}, { WEIR_DATA_DIR: broken })).toThrow("credentials.json is not valid JSON");
    rmSync(broken, { recursive: true });
  });
});

describe("paths", () => {
  test("names are escaped", () => {
    expect(path`/a/${"x y/z?#%"}/b/${"é"}`).toBe("/a/x%20y%2Fz%3F%23%25/b/%C3%A9");
  });

  test.each([".", "..", ""])("%j would change the path, so it is refused", (name) => {
    expect(() => path`/a/${name}`).toThrow(CommandFailure);
  });
});
