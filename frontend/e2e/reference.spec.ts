import { execFileSync } from "node:child_process";
import { expect, type Page, test } from "@playwright/test";
import { api, make, site } from "./api";

test("every operation of the API is described", async ({ page }) => {
  await page.goto(`${site()}/reference`);
  const document = await (await fetch(`${api()}/v1/openapi.json`)).json();
  const summaries = Object.values(document.paths).flatMap((methods) =>
    Object.values(methods as Record<string, { summary: string }>).map(({ summary }) => summary),
  );
  for (const summary of summaries) {
    await expect(page.getByRole("heading", { name: summary, exact: true })).toBeVisible();
  }
});

test("every example works as pasted, on an open API", async ({ page }) => {
  await make({ merchant: "An example" });
  await page.goto(`${site()}/reference`);
  await expect(page.getByRole("region", { name: "Get a payment" })).toContainText("PAY-");
  // Another test has this API's ten endpoints to itself.
  await paste(page, (command) => !command.includes("/v1/webhook_endpoints"));
});

test("every example works as pasted, where a key is needed and nothing is there", async ({
  page,
}) => {
  await page.goto(`${process.env.PAYFLOW_E2E_CLOSED_SITE}/reference`);
  await page.getByLabel("API key").fill(process.env.PAYFLOW_E2E_KEY ?? "");
  await page.keyboard.press("Enter");
  await paste(page);
});

async function paste(page: Page, isWanted: (command: string) => boolean = () => true) {
  const examples = page.locator("section pre");
  await expect(examples.first()).toContainText("curl");
  for (const example of (await examples.allTextContents()).filter(isWanted)) {
    // Nothing leaves this machine.
    const command = example.replaceAll("https://example.com", process.env.PAYFLOW_E2E_SINK ?? "");
    const env = { ...process.env, PAYFLOW_KEY: process.env.PAYFLOW_E2E_KEY };
    const shown = execFileSync("sh", ["-c", `${command} -w '\\n%{http_code}'`], { env }).toString();
    // A payment that has failed cannot be refunded, one that is being settled not canceled, and a
    // delivery that is under way not made again.
    const isStep = /cancel'|refunds'|simulate_return'|replay'/.test(command);
    const isRefused = isStep && /"payment_not_|"conflict"/.test(shown);
    expect(shown.trim().split("\n").at(-1), command).toMatch(isRefused ? /^409$/ : /^20[014]$/);
    await forgetEndpoints();
  }
}

/** There can be ten. */
async function forgetEndpoints() {
  const url = `${process.env.PAYFLOW_E2E_CLOSED_API}/v1/webhook_endpoints`;
  const headers = { Authorization: `Bearer ${process.env.PAYFLOW_E2E_KEY}` };
  const { webhook_endpoints: all } = await (await fetch(url, { headers })).json();
  for (const { id } of all) await fetch(`${url}/${id}`, { method: "DELETE", headers });
}
