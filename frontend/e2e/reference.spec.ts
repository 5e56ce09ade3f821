import { execFileSync } from "node:child_process";
import { expect, type Page, test } from "@playwright/test";
import { api, createPayment, site } from "./api";

test("every operation of the API has a section", async ({ page }) => {
  await page.goto(`${site()}/reference`);
  const document = await (await fetch(`${api()}/v1/openapi.json`)).json();
  const summaries = Object.values(document.paths).flatMap((methods) =>
    Object.values(methods as Record<string, { summary: string }>).map(({ summary }) => summary),
  );
  for (const summary of summaries) {
    await expect(page.getByRole("heading", { name: summary, exact: true })).toBeVisible();
  }
});

test("every example works as pasted without a key", async ({ page }) => {
  await createPayment({ merchant: "An example" });
  await page.goto(`${site()}/reference`);
  await expect(page.locator("#get_payment")).toContainText("PAY-");
  // The webhook tests need all ten endpoints of this API.
  await runExamples(page, (command) => !command.includes("/v1/webhook_endpoints"));
});

test("every example works as pasted with a key, on an empty stack", async ({ page }) => {
  await page.goto(`${process.env.PAYFLOW_E2E_CLOSED_SITE}/reference`);
  await page.getByLabel("API key").fill(process.env.PAYFLOW_E2E_KEY ?? "");
  await page.keyboard.press("Enter");
  await runExamples(page);
});

async function runExamples(page: Page, isWanted: (command: string) => boolean = () => true) {
  const examples = page.locator("section pre");
  await expect(examples.first()).toContainText("curl");
  for (const example of (await examples.allTextContents()).filter(isWanted)) {
    // Send nothing outside this machine.
    const command = example.replaceAll(
      "https://example.com",
      process.env.PAYFLOW_E2E_RECEIVER ?? "",
    );
    const env = { ...process.env, PAYFLOW_KEY: process.env.PAYFLOW_E2E_KEY };
    const output = execFileSync("sh", ["-c", `${command} -w '\\n%{http_code}'`], {
      env,
    }).toString();
    // A failed payment cannot be refunded, a submitted one cannot be canceled, and a pending delivery
    // cannot be replayed.
    const last = command.split("\ncurl").at(-1) ?? "";
    const dependsOnStatus = /cancel'|refunds'|replay'/.test(last);
    const isConflict = dependsOnStatus && /"payment_not_|"conflict"/.test(output);
    expect(output.trim().split("\n").at(-1), command).toMatch(isConflict ? /^409$/ : /^20[0124]$/);
    await deleteEndpoints();
  }
}

/** Make room: there can be at most ten. */
async function deleteEndpoints() {
  const url = `${process.env.PAYFLOW_E2E_CLOSED_API}/v1/webhook_endpoints`;
  const headers = { Authorization: `Bearer ${process.env.PAYFLOW_E2E_KEY}` };
  const { webhook_endpoints: all } = await (await fetch(url, { headers })).json();
  for (const { id } of all) await fetch(`${url}/${id}`, { method: "DELETE", headers });
}
