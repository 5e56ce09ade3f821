import { defineConfig } from "@playwright/test";
import config from "./playwright.config";

/** `make screenshots`: every page, on a stack with a month of payments. */
export default defineConfig({
  ...config,
  testIgnore: [],
  testMatch: "screenshots.spec.ts",
  timeout: 180_000,
  workers: 1,
});
