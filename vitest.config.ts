import { defineConfig } from "vitest/config";

/** Pure tests need no servers; the others share one Postgres and one Redis, started only when one of them runs. */
export default defineConfig({
  test: {
    // Two cores, and the servers want one of them: more workers only queue.
    maxWorkers: 2,
    // Bounds against hanging, not expectations: a command line test takes 3 s alone and 15 s beside a busy neighbour.
    testTimeout: 90_000,
    hookTimeout: 90_000,
    expect: { poll: { timeout: 20_000 } },
    teardownTimeout: 30_000,
    projects: [
      { extends: true, test: { name: "unit", include: ["test/unit/**/*.test.ts", "test/protocol/**/*.test.ts"] } },
      {
        extends: true,
        test: {
          name: "integration",
          include: ["test/integration/**/*.test.ts", "test/model/**/*.test.ts", "test/fault/**/*.test.ts", "test/fuzz/**/*.test.ts"],
          globalSetup: ["test/support/global-setup.ts"],
        },
      },
      // `npm run test:cluster`: six servers more, so not a part of `npm test`.
      ...(process.env["WEIR_TEST_REDIS"] === "cluster"
        ? [
            {
              extends: true as const,
              test: {
                name: "cluster",
                include: ["test/cluster/**/*.test.ts"],
                globalSetup: ["test/support/global-setup.ts"],
              },
            },
          ]
        : []),
    ],
  },
});
