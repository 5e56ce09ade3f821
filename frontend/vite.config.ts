import tailwindcss from "@tailwindcss/vite";
import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

export default defineConfig(({ command, mode }) => {
  const url = process.env.VITE_API_URL;
  if (command === "build" && mode !== "test" && !/^https?:\/\/[^/]+(\/[^/]+)*$/.test(url ?? "")) {
    throw new Error(
      "VITE_API_URL is not set: build with the API's address, without a slash at its end, " +
        "as in VITE_API_URL=http://127.0.0.1:8000 npm run build",
    );
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
      env: { VITE_API_URL: "http://api.test" },
      testTimeout: 60_000, // for what never comes: the machine may be busy
    },
  };
});
