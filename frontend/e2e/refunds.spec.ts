import { expect, type Page, test } from "@playwright/test";
import { api, createPayment, type NewPayment, site } from "./api";

const status = (page: Page, text: string | RegExp) =>
  page.getByRole("region", { name: "Status" }).getByText(text).first();

async function openPayment(page: Page, payment: NewPayment) {
  const { id } = await createPayment(payment);
  await page.goto(`${site()}/payments/${id}`);
  return id;
}

test("a partial refund reduces the refundable amount", async ({ page }) => {
  const id = await openPayment(page, { merchant: "Partial", amount: "100.00" });
  await page.getByRole("button", { name: "Refund" }).click();
  await expect(page.getByLabel("Amount in CAD")).toHaveValue("100.00");
  await page.getByLabel("Amount in CAD").fill("30");
  await page.getByLabel("Reason").fill("One cup was cold");
  await page.getByRole("button", { name: "Refund payment" }).click();
  await expect(page.getByRole("dialog")).toHaveCount(0);
  const refunds = page.getByRole("region", { name: "Refunds" });
  await expect(refunds).toContainText("$30.00");
  await expect(refunds).toContainText("One cup was cold");
  await expect(status(page, "Refund of $30.00 created")).toBeVisible();
  await expect(status(page, /Refund of \$30\.00 (completed|failed)/)).toBeVisible();
  const payment = await (await fetch(`${api()}/v1/payments/${id}`)).json();
  const refundable = (100 - payment.amount_refunded).toFixed(2);
  const details = page.getByRole("region", { name: "Details" });
  await expect(details).toContainText(`Refundable$${refundable}`);
});

test("more than the refundable amount is rejected in the form", async ({ page }) => {
  await openPayment(page, { merchant: "Too much", amount: "10.00" });
  await page.getByRole("button", { name: "Refund" }).click();
  await page.getByLabel("Amount in CAD").fill("10.01");
  await page.getByRole("button", { name: "Refund payment" }).click();
  await expect(page.getByText("This is more than the refundable amount.")).toBeVisible();
  await expect(page.getByLabel("Amount in CAD")).toBeFocused();
});

test("a refund that is submitted twice is created once", async ({ page }) => {
  const id = await openPayment(page, { merchant: "Twice back", amount: "10.00" });
  await page.getByRole("button", { name: "Refund" }).click();
  await page.getByLabel("Amount in CAD").fill("4");
  let first = true;
  await page.route("**/refunds", async (route) => {
    if (route.request().method() !== "POST" || !first) return route.continue();
    first = false;
    await route.fetch(); // the API receives it, but the response is lost
    return route.abort();
  });
  await page.getByRole("button", { name: "Refund payment" }).dblclick();
  await expect(page.getByText("The refund may have been created")).toBeVisible();
  await page.getByRole("button", { name: "Refund payment" }).click();
  await expect(page.getByRole("dialog")).toHaveCount(0);
  const { refunds } = await (await fetch(`${api()}/v1/payments/${id}/refunds`)).json();
  expect(refunds).toHaveLength(1);
});

test("canceling a submitted payment shows why it is not possible", async ({ page }) => {
  await openPayment(page, { merchant: "Too late", simulate: "pending" });
  await expect(status(page, "Waiting for the bank")).toBeVisible();
  await page.getByRole("button", { name: "Cancel", exact: true }).click();
  await page.getByRole("button", { name: "Cancel payment" }).click();
  await expect(page.getByRole("dialog").getByRole("alert")).toContainText("canceled");
  await page.getByRole("button", { name: "Close" }).first().click();
  await expect(page.getByRole("dialog")).toHaveCount(0);
});

test("a returned payment shows its code and cannot be refunded", async ({ page }) => {
  const id = await openPayment(page, { merchant: "Bounced", amount: "12.50" });
  await expect(page.getByRole("button", { name: "Refund" })).toBeVisible();
  const response = await fetch(`${api()}/v1/payments/${id}/simulate_return`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ code: "901" }),
  });
  expect(response.status).toBe(200);
  await expect(status(page, "Returned by the bank")).toBeVisible();
  await expect(page.getByText("901").first()).toBeVisible();
  await expect(page.getByRole("button", { name: "Refund" })).toHaveCount(0);
  await expect(page.getByRole("region", { name: "Details" })).toContainText("Refundable$0.00");
});

test("a return after a refund shows what was returned and lost", async ({ page }) => {
  const id = await openPayment(page, {
    merchant: "Lost",
    amount: "20.00",
    simulateRefund: "completed",
  });
  await expect(page.getByRole("button", { name: "Refund", exact: true })).toBeVisible();
  const post = (path: string, body: object) =>
    fetch(`${api()}/v1/payments/${id}/${path}`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
    });
  await post("refunds", { amount: "5.00", idempotency_key: crypto.randomUUID() });
  await expect(status(page, "Refund of $5.00 completed")).toBeVisible();
  expect((await post("simulate_return", { code: "911" })).status).toBe(200);
  const details = page.getByRole("region", { name: "Details" });
  await expect(details).toContainText("Returned$20.00");
  await expect(details).toContainText("Lost$5.00");
  await expect(details).toContainText("Bank's code911");
  await expect(page.getByText("The account is frozen.")).toBeVisible();
});

test("a credit is paid out and cannot be refunded", async ({ page }) => {
  await openPayment(page, { merchant: "Paid out", direction: "credit" });
  await expect(status(page, "Completed")).toBeVisible();
  await expect(page.getByRole("region", { name: "Details" })).toContainText("Credit");
  await expect(page.getByRole("button", { name: "Refund" })).toHaveCount(0);
});

test("an expected outcome is shown while the bank has not decided", async ({ page }) => {
  await openPayment(page, { merchant: "Thursday", simulate: "submitted:86400" });
  await expect(status(page, "Expected")).toBeVisible();
  await expect(page.getByRole("region", { name: "Details" })).toContainText("Outcome expected");
});

test("refunds of all payments are listed, and lead to their payments", async ({ page }) => {
  const id = await openPayment(page, {
    merchant: "Listed",
    amount: "20.00",
    simulateRefund: "completed",
  });
  await expect(page.getByRole("button", { name: "Refund", exact: true })).toBeVisible();
  await fetch(`${api()}/v1/payments/${id}/refunds`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ amount: "3.21", idempotency_key: crypto.randomUUID() }),
  });
  await page.getByRole("link", { name: "Payments" }).first().click();
  await page.getByRole("link", { name: "Refunds" }).click();
  await page.getByLabel("Status").selectOption("completed");
  await expect(page).toHaveURL(/status=completed/);
  const row = page.getByRole("listitem").filter({ hasText: id });
  await expect(row).toContainText("$3.21");
  await page.getByRole("button", { name: "Export CSV" }).click();
  await expect(page.getByText(/^Export ready: /)).toBeVisible();
  await page.getByRole("link", { name: "Past exports" }).click();
  const past = page.getByRole("listitem").filter({ hasText: "Refunds: completed · CSV" });
  await expect(past.first()).toBeVisible();
  await page.goBack();
  await row.getByRole("link").click();
  await expect(page).toHaveURL(new RegExp(id));
});
