import { defineConfig } from "@playwright/test";

/** The browser that `make e2e` has found or installed. */
const executablePath = process.env.PAYFLOW_BROWSER;

export default defineConfig({
  testDir: "e2e",
  testIgnore: "screenshots.spec.ts",
  // Generous, because axe and the stacks share the processors with everything else.
  timeout: 120_000,
  expect: { timeout: 20_000 },
  workers: 2,
  fullyParallel: true,
  forbidOnly: true,
  // CI runs two browsers and two stacks on two cores. Playwright reports a retried test as flaky.
  retries: process.env.CI ? 1 : 0,
  reporter: [["line"]],
  globalSetup: "./e2e/stack.ts",
  use: {
    ...(executablePath && { launchOptions: { executablePath } }),
    locale: "en-CA",
    timezoneId: "America/Toronto",
    trace: "off",
  },
});
