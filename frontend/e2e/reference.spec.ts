import { execFileSync } from "node:child_process";
import { expect, type Page, test } from "@playwright/test";
import { api, make, site } from "./payments";

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
  await paste(page);
});

test("every example works as pasted, where a key is needed and nothing is there", async ({
  page,
}) => {
  await page.goto(`${process.env.PAYFLOW_E2E_CLOSED_SITE}/reference`);
  await page.getByLabel("API key").fill(process.env.PAYFLOW_E2E_KEY ?? "");
  await page.keyboard.press("Enter");
  await paste(page);
});

async function paste(page: Page) {
  const examples = page.locator("section pre");
  await expect(examples.first()).toContainText("curl");
  for (const command of await examples.allTextContents()) {
    const env = { ...process.env, PAYFLOW_KEY: process.env.PAYFLOW_E2E_KEY };
    const shown = execFileSync("sh", ["-c", `${command} -w '\\n%{http_code}'`], { env }).toString();
    // A payment that has failed cannot be refunded, one that is being settled not canceled.
    const isStep =
      /cancel'|refunds'|simulate_return'/.test(command) && shown.includes('"payment_not_');
    expect(shown.trim().split("\n").at(-1), command).toMatch(isStep ? /^409$/ : /^20[014]$/);
  }
}
