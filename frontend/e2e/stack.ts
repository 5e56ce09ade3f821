import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

const ROOT = join(import.meta.dirname, "../..");
const PYTHON = join(ROOT, ".venv/bin/python");
const STARTS_MS = 120_000;

/** Local stacks of their own, as `make run` starts them: an open one, and one that asks for keys. */
export default async function start() {
  const [open, closed] = await Promise.all([run("open"), run("required")]);
  Object.assign(process.env, open.env); // for the project's own commands, on this stack
  process.env.PAYFLOW_E2E_SITE = open.site;
  process.env.PAYFLOW_E2E_API = open.api;
  process.env.PAYFLOW_E2E_RECEIVER = open.receiver;
  process.env.PAYFLOW_E2E_CLOSED_SITE = closed.site;
  process.env.PAYFLOW_E2E_CLOSED_API = closed.api;
  process.env.PAYFLOW_E2E_KEY = closed.command("infra.ops.key", [
    ...["local", "--name", "operator", "--scopes", "admin"],
  ]);
  return () => Promise.all([open.stop(), closed.stop()]);
}

async function run(auth: "open" | "required") {
  const state = mkdtempSync(join(tmpdir(), "payflow-e2e-"));
  const ports = await Promise.all(Array.from({ length: 5 }, freePort));
  const [api, aws, dashboard, receiver, dynamodb] = ports;
  const env = {
    PAYFLOW_AUTH: auth,
    PAYFLOW_STATE_DIR: state,
    PAYFLOW_API_PORT: String(api),
    PAYFLOW_AWS_PORT: String(aws),
    PAYFLOW_DASHBOARD_PORT: String(dashboard),
    PAYFLOW_RECEIVER_PORT: String(receiver),
    PAYFLOW_DYNAMODB_PORT: String(dynamodb), // used where PAYFLOW_DYNAMODB asks for its engine
    PAYFLOW_DASHBOARD: "on",
  };
  const whole = { cwd: ROOT, env: { ...process.env, ...env } };
  const stack = spawn(PYTHON, ["-m", "infra.local"], {
    ...whole,
    stdio: ["ignore", "pipe", "inherit"],
  });
  await said(stack, "Ctrl-C stops it");
  return {
    env,
    site: `http://localhost:${dashboard}`,
    api: `http://127.0.0.1:${api}`,
    receiver: `http://127.0.0.1:${receiver}`,
    command: (module: string, options: string[]) =>
      execFileSync(PYTHON, ["-m", module, ...options], {
        ...whole,
        stdio: ["ignore", "pipe", "ignore"],
      })
        .toString()
        .trim(),
    stop: async () => {
      stack.kill("SIGTERM");
      await new Promise((ended) => stack.once("exit", ended));
      rmSync(state, { recursive: true });
    },
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
