import { defineConfig } from "vitest/config";

/** The adapters against real runtimes. One file after the other: two runtimes, Weir's servers and two cores. */
export default defineConfig({
  test: {
    root: new URL("../../", import.meta.url).pathname,
    include: ["test/adapters/**/*.test.ts"],
    exclude: ["**/node_modules/**"],
    globalSetup: ["test/support/global-setup.ts"],
    fileParallelism: false,
    testTimeout: 90_000,
    hookTimeout: 90_000,
    expect: { poll: { timeout: 20_000 } },
    teardownTimeout: 30_000,
  },
});
