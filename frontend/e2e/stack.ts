import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

const ROOT = join(import.meta.dirname, "../..");
const STARTS_MS = 120_000;

/** A local stack of its own, as `make run` starts it, for all the tests. */
export default async function start() {
  const state = mkdtempSync(join(tmpdir(), "payflow-e2e-"));
  const [api, aws, dashboard] = await Promise.all([freePort(), freePort(), freePort()]);
  const stack = spawn(join(ROOT, ".venv/bin/python"), ["-m", "infra.local"], {
    cwd: ROOT,
    env: {
      ...process.env,
      PAYFLOW_STATE_DIR: state,
      PAYFLOW_API_PORT: String(api),
      PAYFLOW_AWS_PORT: String(aws),
      PAYFLOW_DASHBOARD_PORT: String(dashboard),
      PAYFLOW_DASHBOARD: "on",
    },
    stdio: ["ignore", "pipe", "inherit"],
  });
  await said(stack, "Ctrl-C stops it");
  process.env.PAYFLOW_STATE_DIR = state; // for the project's own commands, on this stack
  process.env.PAYFLOW_API_PORT = String(api);
  process.env.PAYFLOW_AWS_PORT = String(aws);
  process.env.PAYFLOW_DASHBOARD_PORT = String(dashboard);
  process.env.PAYFLOW_E2E_SITE = `http://localhost:${dashboard}`;
  process.env.PAYFLOW_E2E_API = `http://127.0.0.1:${api}`;
  return async () => {
    stack.kill("SIGTERM");
    await new Promise((ended) => stack.once("exit", ended));
    rmSync(state, { recursive: true });
  };
}

function said(stack: ChildProcess, words: string): Promise<void> {
  return new Promise((resolve, reject) => {
    let heard = "";
    const fail = (why: string) => reject(new Error(`The local stack ${why}:\n${heard}`));
    const timer = setTimeout(() => fail("did not come up"), STARTS_MS);
    stack.once("exit", () => fail("ended"));
    stack.stdout?.on("data", (chunk) => {
      heard += chunk;
      if (heard.includes(words)) {
        clearTimeout(timer);
        resolve();
      }
    });
  });
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" && address ? address.port : 0));
    });
  });
}
