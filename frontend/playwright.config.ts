import { defineConfig } from "@playwright/test";

/** `make e2e` finds one, or installs it. */
const executablePath = process.env.PAYFLOW_BROWSER;

export default defineConfig({
  testDir: "e2e",
  testIgnore: "screenshots.spec.ts",
  timeout: 30_000,
  workers: 2,
  fullyParallel: true,
  forbidOnly: true,
  // Two browsers and two stacks on two cores: what passes only then is reported as flaky.
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
