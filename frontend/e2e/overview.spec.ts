import { expect, type Page, test } from "@playwright/test";
import { api, make, site } from "./api";

type Row = { currency: string; status: string; count: number; volume: number };

const settled = async (id: string) =>
  expect
    .poll(async () => (await (await fetch(`${api()}/v1/payments/${id}`)).json()).status)
    .not.toBe("processing");
const tile = (page: Page, name: string) =>
  page.locator("div").filter({ has: page.locator("dt", { hasText: new RegExp(`^${name}$`) }) });

test("what the overview says is what the API adds up", async ({ page }) => {
  const ids = [
    (await make({ merchant: "Counted", amount: "0.10" })).id,
    (await make({ merchant: "Counted", amount: "0.20" })).id,
    (await make({ merchant: "Counted", simulate: "failed:account_closed" })).id,
  ];
  for (const id of ids) await settled(id);
  // Other tests make payments meanwhile: what is compared is the very answer that the page got.
  const answered = page.waitForResponse((response) => response.url().includes("/v1/stats"));
  await page.goto(`${site()}/`);
  const { rows } = (await (await answered).json()) as { rows: Row[] };
  const count = (status?: string) =>
    rows.filter((row) => !status || row.status === status).reduce((sum, row) => sum + row.count, 0);
  const decided = count("completed") + count("failed") + count("returned");
  const cents = rows
    .filter((row) => row.currency === "CAD" && row.status === "completed")
    .reduce((sum, row) => sum + Math.round(row.volume * 100), 0);
  await expect(tile(page, "Settled").last()).toContainText(count().toLocaleString("en-CA"));
  await expect(tile(page, "Success rate").last()).toContainText(
    `${((100 * count("completed")) / decided).toFixed(1)}%`,
  );
  await expect(tile(page, "Completed volume").last()).toContainText(
    (cents / 100).toLocaleString("en-CA", { minimumFractionDigits: 2 }),
  );
});

test("the chart's numbers can be read as a table", async ({ page }) => {
  await settled((await make({ merchant: "Charted" })).id);
  await page.goto(`${site()}/?days=7`);
  await page.getByRole("tab", { name: "Table" }).click();
  const rows = page.getByRole("tabpanel").getByRole("row");
  await expect(rows).toHaveCount(8);
  await page.getByLabel("Show", { exact: true }).selectOption("CAD");
  await expect(rows.nth(1)).toContainText("$");
});

test("the range is in the address", async ({ page }) => {
  await page.goto(`${site()}/`);
  await page.getByRole("link", { name: "90 days" }).click();
  await expect(page).toHaveURL(/days=90/);
  await page.reload();
  await expect(page.getByRole("link", { name: "90 days" })).toHaveAttribute("aria-current", "page");
});

test("health tells an API that is gone from tables that do not answer", async ({ page }) => {
  await page.goto(`${site()}/`);
  const health = page.getByRole("region", { name: "Health" });
  await expect(health).toContainText("answers");
  await page.route("**/v1/health*", (route) =>
    route.fulfill({
      status: 503,
      headers: { "Access-Control-Allow-Origin": "*", "Content-Type": "application/problem+json" },
      json: {
        status: 503,
        code: "unavailable",
        title: "Away",
        detail: "The tables do not answer.",
      },
    }),
  );
  await page.reload();
  await expect(health).toContainText("not well");
  await expect(health).toContainText("The tables do not answer.");
});
