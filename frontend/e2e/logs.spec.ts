import { expect, test } from "@playwright/test";
import { api, make, site } from "./api";

test("a request shows up in the log, and leads to its payment", async ({ page }) => {
  const { id } = await make({ merchant: "Logged" });
  await page.goto(`${site()}/logs`);
  const link = page.getByRole("link", { name: new RegExp(id) }).first();
  await expect(link).toBeVisible({ timeout: 20_000 });
  await link.click();
  await expect(page).toHaveURL(`${site()}/payments/${id}`);
});

test("the log is narrowed by status and path, and its address keeps that", async ({ page }) => {
  await fetch(`${api()}/v1/payments/PAY-LOGGED404`);
  await page.goto(`${site()}/logs`);
  await page.getByLabel("Status").selectOption("4xx");
  await page.getByLabel("Path contains").fill("PAY-LOGGED404");
  await page.keyboard.press("Enter");
  await expect(page).toHaveURL(/status=4xx/);
  await expect(page).toHaveURL(/path=PAY-LOGGED404/);
  await expect(page.getByText("/v1/payments/PAY-LOGGED404").first()).toBeVisible({
    timeout: 20_000,
  });
  await page.reload();
  await expect(page.getByRole("cell", { name: "404", exact: true }).first()).toBeVisible();
  await page.getByLabel("Path contains").fill("/v1/nothing-is-here");
  await page.keyboard.press("Enter");
  await expect(page.getByText("No request of the last hour is of this kind.")).toBeVisible();
});

test("a log that is held still asks no more until it goes on", async ({ page }) => {
  await page.goto(`${site()}/logs`);
  await expect(page.getByRole("row").nth(1)).toBeVisible({ timeout: 20_000 });
  await page.getByRole("button", { name: "Pause" }).click();
  let asked = 0;
  page.on("request", (request) => {
    if (request.url().includes("/v1/logs")) asked += 1;
  });
  await page.clock.install();
  await page.clock.runFor(30_000);
  expect(asked).toBe(0);
  await page.getByRole("button", { name: "Go on" }).click();
  await page.clock.runFor(10_000);
  await expect.poll(() => asked).toBeGreaterThan(0);
});
