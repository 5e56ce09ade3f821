import { execFileSync } from "node:child_process";
import { expect, test } from "@playwright/test";
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

test("the examples work as pasted", async ({ page }) => {
  await make({ merchant: "An example" });
  await page.goto(`${site()}/reference`);
  for (const name of ["Create a payment", "List payments, newest first", "Get a payment"]) {
    const example = page.getByRole("region", { name, exact: true }).locator("pre");
    await expect(example).toContainText("curl");
    const command = (await example.textContent()) ?? "";
    const answered = execFileSync("sh", ["-c", `${command} -w '\\n%{http_code}'`]).toString();
    expect(answered.trim().split("\n").at(-1), command).toMatch(/^20[01]$/);
  }
});
