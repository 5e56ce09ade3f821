import tailwindcss from "@tailwindcss/vite";
import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

export default defineConfig(({ command, mode }) => {
  const url = process.env.VITE_API_URL;
  if (command === "build" && mode !== "test" && !/^https?:\/\/[^/]+(\/[^/]+)*$/.test(url ?? "")) {
    throw new Error(
      "Set VITE_API_URL to the URL of the API, without a trailing slash: " +
        "VITE_API_URL=http://127.0.0.1:8000 npm run build",
    );
  }
  if (mode === "test") {
    // Tests read times and amounts as they stand here, on whatever machine they run.
    Object.assign(process.env, { TZ: "UTC", LC_ALL: "en_US.UTF-8" });
  }
  return {
    plugins: [react(), tailwindcss()],
    build: {
      sourcemap: false,
      modulePreload: { polyfill: false },
      assetsInlineLimit: 0,
      manifest: true,
    },
    test: {
      environment: "jsdom",
      isolate: false, // one jsdom for each worker, not for each file: five times faster
      unstubGlobals: true,
      unstubEnvs: true,
      include: ["src/**/*.test.{ts,tsx}"],
      setupFiles: ["src/test-setup.ts"],
      testTimeout: 120_000, // no test fails for being slow
      env: { VITE_API_URL: "http://api.test" },
    },
  };
});
