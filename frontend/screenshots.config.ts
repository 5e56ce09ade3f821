import { defineConfig } from "@playwright/test";
import config from "./playwright.config";

/** `make screenshots`: every page, on a stack with a month behind it. */
export default defineConfig({ ...config, testDir: "pictures", timeout: 180_000, workers: 1 });
