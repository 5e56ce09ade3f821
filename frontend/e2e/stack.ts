import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

const ROOT = join(import.meta.dirname, "../..");
const PYTHON = join(ROOT, ".venv/bin/python");
const START_TIMEOUT_MS = 120_000;

/** Start two local stacks as `make run` does: an open one, and one that requires keys. */
export default async function start() {
  const [open, closed] = await Promise.all([run("open"), run("required")]);
  Object.assign(process.env, open.env); // so that the project's commands find this stack
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
    PAYFLOW_DYNAMODB_PORT: String(dynamodb), // unused unless PAYFLOW_DYNAMODB selects DynamoDB Local
    PAYFLOW_DASHBOARD: "on",
  };
  const processOptions = { cwd: ROOT, env: { ...process.env, ...env } };
  const stack = spawn(PYTHON, ["-m", "infra.local"], {
    ...processOptions,
    stdio: ["ignore", "pipe", "inherit"],
  });
  await waitForOutput(stack, "Ctrl-C stops it");
  return {
    env,
    site: `http://localhost:${dashboard}`,
    api: `http://127.0.0.1:${api}`,
    receiver: `http://127.0.0.1:${receiver}`,
    command: (module: string, options: string[]) =>
      execFileSync(PYTHON, ["-m", module, ...options], {
        ...processOptions,
        stdio: ["ignore", "pipe", "ignore"],
      })
        .toString()
        .trim(),
    stop: async () => {
      stack.kill("SIGTERM");
      await new Promise((resolve) => stack.once("exit", resolve));
      rmSync(state, { recursive: true });
    },
  };
}

function waitForOutput(stack: ChildProcess, text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    let output = "";
    const fail = (why: string) => reject(new Error(`The local stack ${why}:\n${output}`));
    const timer = setTimeout(() => fail("did not start in time"), START_TIMEOUT_MS);
    stack.once("exit", () => fail("stopped"));
    stack.stdout?.on("data", (chunk) => {
      output += chunk;
      if (output.includes(text)) {
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
