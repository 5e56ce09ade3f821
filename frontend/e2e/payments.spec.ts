import { expect, type Page, test } from "@playwright/test";

import { api, createPayment, type NewPayment, site } from "./api";

async function fillForm(page: Page, { merchant, simulate, amount = "42.50" }: NewPayment) {
  await page.goto(`${site()}/payments/new`);
  await page.getByLabel("Merchant").fill(merchant);
  await page.getByLabel("Amount").fill(amount);
  if (simulate) {
    await page.getByRole("button", { name: "Add entry" }).click();
    await page.getByLabel("Key 1").fill("simulate");
    await page.getByLabel("Value 1").fill(simulate);
  }
}

const submitButton = (page: Page) => page.getByRole("button", { name: "Create payment" });
const status = (page: Page, label: string) =>
  page.getByRole("region", { name: "Status" }).getByText(label, { exact: true }).first();

test("a new payment is followed until it settles", async ({ page }) => {
  await fillForm(page, { merchant: "Follow me", simulate: "slow:2" });
  await submitButton(page).click();
  await expect(page.getByRole("heading", { level: 1 })).toContainText("$42.50");
  await expect(status(page, "Processing")).toBeVisible();
  // The id decides how a slow payment ends: 15 % fail.
  const settled = status(page, "Completed").or(status(page, "Failed"));
  await expect(settled).toBeVisible();
});

test("a failed payment explains why", async ({ page }) => {
  await fillForm(page, { merchant: "Poor payer", simulate: "failed:insufficient_funds" });
  await submitButton(page).click();
  await expect(page.getByText("insufficient funds")).toBeVisible();
});

test("a form that is submitted twice creates one payment", async ({ page }) => {
  const merchant = `Twice ${crypto.randomUUID()}`;
  await fillForm(page, { merchant });
  const bodies: string[] = [];
  page.on("request", (request) => {
    if (request.method() === "POST") bodies.push(request.postData() ?? "");
  });
  let first = true;
  await page.route("**/v1/payments", async (route) => {
    const request = route.request();
    if (request.method() !== "POST" || !first) return route.continue();
    first = false;
    await route.fetch(); // the API receives it, but the response is lost
    return route.abort();
  });
  await submitButton(page).dblclick();
  await expect(page.getByText("The payment may have been created")).toBeVisible();
  expect(bodies).toHaveLength(1);
  await submitButton(page).click();
  await expect(page.getByRole("heading", { level: 1 })).toContainText(merchant);
  expect(new Set(bodies.map((body) => JSON.parse(body).idempotency_key)).size).toBe(1);
  const listed = await (await fetch(`${api()}/v1/payments?limit=100`)).json();
  const created = listed.payments.filter((one: { merchant: string }) => one.merchant === merchant);
  expect(created).toHaveLength(1);
});

test("a viewer who has left the form is not taken to the payment", async ({ page }) => {
  await fillForm(page, { merchant: "Left alone" });
  await page.route("**/v1/payments", async (route) => {
    if (route.request().method() === "POST") await new Promise((go) => setTimeout(go, 500));
    await route.continue();
  });
  const response = page.waitForResponse((received) => received.request().method() === "POST");
  await submitButton(page).click();
  await page.getByRole("link", { name: "Logs" }).click();
  await response;
  await expect(page.getByRole("heading", { name: "Logs" })).toBeVisible();
  await expect(page).toHaveURL(/logs/);
});

test("an invalid field shows its error and takes the focus", async ({ page }) => {
  await fillForm(page, { merchant: " ", amount: "12.345" });
  await submitButton(page).click();
  await expect(page.getByLabel("Merchant")).toBeFocused();
  await expect(page.getByText("Enter at most 2 decimals.")).toBeVisible();
});

test("filters and pages are kept in the URL and in the history", async ({ page }) => {
  for (let n = 0; n < 22; n++) await createPayment({ merchant: `Paged ${n}`, simulate: "pending" });
  await page.goto(`${site()}/payments`);
  await page.getByLabel("Status").selectOption("processing");
  await expect(page).toHaveURL(/status=processing/);
  const rows = page.getByRole("row");
  await expect(rows).toHaveCount(21);
  await page.getByRole("button", { name: "Older" }).click();
  await expect(page).toHaveURL(/cursor=/);
  await expect(page.getByText("Paged 0", { exact: true })).toBeVisible();
  await page.goBack();
  await expect(page).not.toHaveURL(/cursor=/);
  await expect(page.getByText("Paged 21", { exact: true })).toBeVisible();
  await page.goForward();
  await page.getByRole("button", { name: "Newer" }).click();
  await expect(page.getByText("Paged 21", { exact: true })).toBeVisible();
  await page.reload();
  await expect(page.getByLabel("Status")).toHaveValue("processing");
});

test("a typed date is one step back, and invalid filters are dropped", async ({ page }) => {
  await page.goto(`${site()}/payments?status=<script>&from=2026-99-99`);
  await expect(page).toHaveURL(`${site()}/payments`);
  const from = page.getByLabel("From", { exact: true });
  await from.focus();
  await page.keyboard.type("11242026");
  await expect(page).toHaveURL(/from=2026-11-24/);
  await page.goBack();
  await expect(page).toHaveURL(`${site()}/payments`);
  await expect(from).toHaveValue("");
});

test("a payment is found by its id", async ({ page }) => {
  const { id } = await createPayment({ merchant: "Needle" });
  await page.goto(`${site()}/payments`);
  await page.getByLabel("Search", { exact: true }).fill(id.toLowerCase());
  await page.keyboard.press("Enter");
  await expect(page).toHaveURL(`${site()}/payments/${id}`);
  await page.goto(`${site()}/payments/${id}`);
  await expect(page.getByRole("heading", { level: 1 })).toContainText("Needle");
});

test("a missing payment shows an error", async ({ page }) => {
  await page.goto(`${site()}/payments/PAY-NONE`);
  await expect(page.getByRole("alert")).toContainText("Request ID");
});

test("new payments are announced without moving any row", async ({ page }) => {
  await createPayment({ merchant: "Already there" });
  await page.goto(`${site()}/payments?type=eft`);
  const first = page.getByRole("row").nth(1);
  const before = await first.textContent();
  const { id } = await createPayment({ merchant: "Newcomer" });
  const announcement = page.getByRole("button", { name: /new payments?$/ });
  await expect(announcement).toBeVisible();
  expect((await first.textContent())?.slice(0, 8)).toBe(before?.slice(0, 8));
  await announcement.click();
  await expect(page.getByRole("row").filter({ hasText: id })).toBeVisible();
});

test("a reload after a lost answer pays once", async ({ page }) => {
  const merchant = `Reloaded ${Date.now()}`;
  await page.goto(`${site()}/payments/new`);
  await page.getByLabel("Merchant").fill(merchant);
  await page.getByLabel("Amount").fill("12.50");
  await page.route(`${api()}/v1/payments`, async (route) => {
    if (route.request().method() !== "POST") return route.continue();
    await route.fetch(); // the payment is created, and its answer is lost
    await route.abort();
  });
  await submitButton(page).click();
  await expect(page.getByText("The payment may have been created")).toBeVisible();
  await page.unroute(`${api()}/v1/payments`);
  await page.reload();
  await expect(page.getByLabel("Merchant")).toHaveValue(merchant);
  await expect(page.getByText("The payment may have been created")).toBeVisible();
  await submitButton(page).click();
  await expect(page.getByRole("heading", { level: 1 })).toBeVisible();
  await page.goto(`${site()}/payments`);
  await expect(page.getByRole("row").filter({ hasText: merchant })).toHaveCount(1);
});

test("the dashboard opens at its one origin, by whichever name it is asked for", async ({
  page,
}) => {
  await page.goto(`${site().replace("localhost", "127.0.0.1")}/payments`);
  await expect(page).toHaveURL(`${site()}/payments`);
  await expect(page.getByRole("heading", { name: "Payments" })).toBeVisible();
  await expect(page.getByRole("alert")).toHaveCount(0);
});

test("the filtered list is exported as CSV, with progress and a link", async ({ page }) => {
  const { id } = await createPayment({ merchant: "=HYPERLINK(1)", amount: "1250.75" });
  await page.goto(`${site()}/payments?type=eft&status=completed`);
  await expect(page.getByRole("row").filter({ hasText: id })).toBeVisible();
  // What is younger than a second may not be in the index yet.
  await expect
    .poll(async () => {
      const { created_at } = await (await fetch(`${api()}/v1/payments/${id}`)).json();
      return Date.now() - Date.parse(created_at);
    })
    .toBeGreaterThan(1_500);
  await page.getByRole("button", { name: "Export CSV" }).click();
  await expect(page.getByText(/^Export ready: /)).toBeVisible();
  const download = page.waitForEvent("download");
  await page.getByRole("link", { name: /^Download/ }).click();
  const stream = await (await download).createReadStream();
  const text = Buffer.concat(await stream.toArray()).toString();
  expect(text).toContain("'=HYPERLINK(1),1250.75,CAD,eft");
  await page.getByRole("link", { name: "Past exports" }).click();
  const listed = page.getByRole("listitem").filter({ hasText: "completed, eft · CSV" }).first();
  await expect(listed.getByRole("link", { name: /^Download/ })).toBeVisible();
});

test("the list survives an unreachable API and recovers", async ({ page }) => {
  await createPayment({ merchant: "Still here" });
  await page.goto(`${site()}/payments`);
  await expect(page.getByRole("row").nth(1)).toBeVisible();
  await page.route(`${api()}/**`, (route) => route.abort());
  await expect(page.getByRole("alert")).toContainText("Can't reach the API");
  await expect(page.getByRole("row").nth(1)).toBeVisible();
  await page.unroute(`${api()}/**`);
  await page.getByRole("button", { name: "Try again" }).click();
  await expect(page.getByRole("alert")).toHaveCount(0);
});

test("payments are found by merchant and by idempotency key", async ({ page }) => {
  const merchant = `Café ${crypto.randomUUID().slice(0, 8)}`;
  const { id } = await createPayment({ merchant });
  const key = (await (await fetch(`${api()}/v1/payments/${id}`)).json()).idempotency_key;
  await page.goto(`${site()}/payments`);
  const search = page.getByLabel("Search", { exact: true });
  for (const wanted of [merchant.toUpperCase(), key]) {
    await search.fill(wanted);
    await search.press("Enter");
    await expect(page).toHaveURL(/find=/);
    await expect(page.getByRole("row")).toHaveCount(2); // the header, and the payment
    await expect(page.getByRole("link", { name: merchant })).toBeVisible();
  }
  await search.fill("Nobody of this name");
  await search.press("Enter");
  await expect(page.getByText("No matching payments on this page")).toBeVisible();
});
