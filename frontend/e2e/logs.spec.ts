import { expect, test } from "@playwright/test";
import { api, createPayment, site } from "./api";

test("a logged request links to its payment", async ({ page }) => {
  const { id } = await createPayment({ merchant: "Logged" });
  await page.goto(`${site()}/logs`);
  const link = page.getByRole("link", { name: new RegExp(id) }).first();
  await expect(link).toBeVisible();
  await link.click();
  await expect(page).toHaveURL(`${site()}/payments/${id}`);
});

test("the status and path filters are kept in the URL", async ({ page }) => {
  await fetch(`${api()}/v1/payments/PAY-LOGGED404`);
  await page.goto(`${site()}/logs`);
  await page.getByLabel("Status").selectOption("4xx");
  await page.getByLabel("Path contains").fill("PAY-LOGGED404");
  await page.keyboard.press("Enter");
  await expect(page).toHaveURL(/status=4xx/);
  await expect(page).toHaveURL(/path=PAY-LOGGED404/);
  await expect(page.getByText("/v1/payments/PAY-LOGGED404").first()).toBeVisible();
  await page.reload();
  await expect(page.getByRole("cell", { name: "404", exact: true }).first()).toBeVisible();
  await page.getByLabel("Path contains").fill("/v1/nothing-is-here");
  await page.keyboard.press("Enter");
  await expect(page.getByText("No matching requests in the last hour")).toBeVisible();
});

test("pausing the log stops its polling until it is resumed", async ({ page }) => {
  await page.goto(`${site()}/logs`);
  await expect(page.getByRole("row").nth(1)).toBeVisible();
  await page.getByRole("button", { name: "Pause" }).click();
  let requests = 0;
  page.on("request", (request) => {
    if (request.url().includes("/v1/logs")) requests += 1;
  });
  await page.clock.install();
  await page.clock.runFor(30_000);
  expect(requests).toBe(0);
  await page.getByRole("button", { name: "Resume" }).click();
  await page.clock.runFor(10_000);
  await expect.poll(() => requests).toBeGreaterThan(0);
});
