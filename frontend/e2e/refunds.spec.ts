import { expect, type Page, test } from "@playwright/test";
import { api, make, site } from "./api";

const status = (page: Page, words: string | RegExp) =>
  page.getByRole("region", { name: "Status" }).getByText(words).first();
const ends = { timeout: 20_000 };

async function open(page: Page, wish: Parameters<typeof make>[0]) {
  const { id } = await make(wish);
  await page.goto(`${site()}/payments/${id}`);
  return id;
}

test("a payment is refunded in parts, and what is left is always visible", async ({ page }) => {
  const id = await open(page, { merchant: "Money back", amount: "100.00" });
  await page.getByRole("button", { name: "Refund" }).click(ends);
  await expect(page.getByLabel("Amount in CAD")).toHaveValue("100.00");
  await page.getByLabel("Amount in CAD").fill("30");
  await page.getByLabel("Reason").fill("One cup was cold");
  await page.getByRole("button", { name: "Refund it" }).click();
  await expect(page.getByRole("dialog")).toHaveCount(0);
  const refunds = page.getByRole("region", { name: "Refunds" });
  await expect(refunds).toContainText("$30.00");
  await expect(refunds).toContainText("One cup was cold");
  await expect(status(page, "Refund of $30.00 asked for")).toBeVisible();
  await expect(status(page, /Refund of \$30\.00 (completed|failed)/)).toBeVisible(ends);
  const payment = await (await fetch(`${api()}/v1/payments/${id}`)).json();
  const left = (100 - payment.amount_refunded).toFixed(2);
  const details = page.getByRole("region", { name: "Details" });
  await expect(details).toContainText(`Left to refund$${left}`);
});

test("more than is left is refused before it is asked for", async ({ page }) => {
  await open(page, { merchant: "Too much", amount: "10.00" });
  await page.getByRole("button", { name: "Refund" }).click(ends);
  await page.getByLabel("Amount in CAD").fill("10.01");
  await page.getByRole("button", { name: "Refund it" }).click();
  await expect(page.getByText("More than what is left.")).toBeVisible();
  await expect(page.getByLabel("Amount in CAD")).toBeFocused();
});

test("a refund that is sent twice is made once", async ({ page }) => {
  const id = await open(page, { merchant: "Twice back", amount: "10.00" });
  await page.getByRole("button", { name: "Refund" }).click(ends);
  await page.getByLabel("Amount in CAD").fill("4");
  let first = true;
  await page.route("**/refunds", async (route) => {
    if (route.request().method() !== "POST" || !first) return route.continue();
    first = false;
    await route.fetch(); // it arrives, and the answer is lost
    return route.abort();
  });
  await page.getByRole("button", { name: "Refund it" }).dblclick();
  await expect(page.getByText("The refund may have been made all the same")).toBeVisible();
  await page.getByRole("button", { name: "Refund it" }).click();
  await expect(page.getByRole("dialog")).toHaveCount(0);
  const { refunds } = await (await fetch(`${api()}/v1/payments/${id}/refunds`)).json();
  expect(refunds).toHaveLength(1);
});

test("a payment that a worker has taken up says why it cannot be canceled", async ({ page }) => {
  await open(page, { merchant: "Too late", simulate: "pending" });
  await expect(status(page, "Waiting for the bank")).toBeVisible();
  await page.getByRole("button", { name: "Cancel", exact: true }).click();
  await page.getByRole("button", { name: "Cancel the payment" }).click();
  await expect(page.getByRole("dialog").getByRole("alert")).toContainText(
    "can no longer be canceled",
  );
  await page.getByRole("button", { name: "Close" }).first().click();
  await expect(page.getByRole("dialog")).toHaveCount(0);
});

test("a return stands in the story, with its code, and leaves nothing to refund", async ({
  page,
}) => {
  const id = await open(page, { merchant: "Bounced", amount: "12.50" });
  await expect(page.getByRole("button", { name: "Refund" })).toBeVisible(ends);
  const response = await fetch(`${api()}/v1/payments/${id}/simulate_return`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ code: "901" }),
  });
  expect(response.status).toBe(200);
  await expect(status(page, "Returned by the bank")).toBeVisible(ends);
  await expect(page.getByText("901").first()).toBeVisible();
  await expect(page.getByRole("button", { name: "Refund" })).toHaveCount(0);
  await expect(page.getByRole("region", { name: "Details" })).toContainText("Left to refund$0.00");
});
