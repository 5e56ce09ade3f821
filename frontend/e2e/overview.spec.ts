import { expect, type Page, test } from "@playwright/test";
import { api, createPayment, site } from "./api";

type Row = { currency: string; status: string; count: number; volume: number };
type Sums = Record<"gross" | "returned" | "refunded" | "net" | "credits", number> & {
  currency: string;
};

const waitUntilSettled = async (id: string) =>
  expect
    .poll(async () => (await (await fetch(`${api()}/v1/payments/${id}`)).json()).status)
    .not.toBe("processing");
const tile = (page: Page, name: string) =>
  page.locator("div").filter({ has: page.locator("dt", { hasText: new RegExp(`^${name}$`) }) });

test("the overview shows the totals of the API", async ({ page }) => {
  const ids = [
    (await createPayment({ merchant: "Counted", amount: "0.10" })).id,
    (await createPayment({ merchant: "Counted", amount: "0.20" })).id,
    (await createPayment({ merchant: "Counted", simulate: "failed:account_closed" })).id,
  ];
  for (const id of ids) await waitUntilSettled(id);
  // Other tests create payments meanwhile, so compare with the response that the page received.
  const response = page.waitForResponse((received) => received.url().includes("/v1/stats"));
  await page.goto(`${site()}/`);
  const { rows, summary } = (await (await response).json()) as { rows: Row[]; summary: Sums[] };
  const count = (status?: string) =>
    rows.filter((row) => !status || row.status === status).reduce((sum, row) => sum + row.count, 0);
  const decided = count("completed") + count("failed") + count("returned");
  const cad = summary.find((sums) => sums.currency === "CAD");
  await expect(tile(page, "Settled").last()).toContainText(count().toLocaleString("en-CA"));
  await expect(tile(page, "Success rate").last()).toContainText(
    `${((100 * count("completed")) / decided).toFixed(1)}%`,
  );
  const shown = (amount = 0) => amount.toLocaleString("en-CA", { minimumFractionDigits: 2 });
  const money = page.getByRole("region", { name: "Money" });
  for (const figure of ["gross", "returned", "refunded", "net", "credits"] as const) {
    const row = money.getByRole("row", { name: new RegExp(`^${figure}`, "i") });
    await expect(row.getByRole("cell").first()).toHaveText(new RegExp(`${shown(cad?.[figure])}$`));
  }
});

test("the chart is also available as a table", async ({ page }) => {
  await waitUntilSettled((await createPayment({ merchant: "Charted" })).id);
  await page.goto(`${site()}/?days=7`);
  await page.getByRole("tab", { name: "Table" }).click();
  const rows = page.getByRole("tabpanel").getByRole("row");
  await expect(rows).toHaveCount(8);
  await page.getByLabel("Measure").selectOption("CAD");
  await expect(rows.nth(1)).toContainText("$");
});

test("the time range is kept in the URL", async ({ page }) => {
  await page.goto(`${site()}/`);
  await page.getByRole("link", { name: "90 days" }).click();
  await expect(page).toHaveURL(/days=90/);
  await page.reload();
  await expect(page.getByRole("link", { name: "90 days" })).toHaveAttribute("aria-current", "page");
});

test("health tells a database failure from an unreachable API", async ({ page }) => {
  await page.goto(`${site()}/`);
  const health = page.getByRole("region", { name: "Health" });
  await expect(health).toContainText("Operational");
  await page.route("**/v1/health*", (route) =>
    route.fulfill({
      status: 503,
      headers: { "Access-Control-Allow-Origin": "*", "Content-Type": "application/problem+json" },
      json: {
        status: 503,
        code: "unavailable",
        title: "Unavailable",
        detail: "The database does not respond.",
      },
    }),
  );
  await page.reload();
  await expect(health).toContainText("Unavailable");
  await expect(health).toContainText("The database does not respond.");
});
