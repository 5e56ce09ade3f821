import { expect, type Page, test } from "@playwright/test";

import { api, make, type PaymentFormValues, site } from "./api";

async function fill(page: Page, { merchant, simulate, amount = "42.50" }: PaymentFormValues) {
  await page.goto(`${site()}/payments/new`);
  await page.getByLabel("Merchant").fill(merchant);
  await page.getByLabel("Amount").fill(amount);
  if (simulate) {
    await page.getByRole("button", { name: "Add an entry" }).click();
    await page.getByLabel("Name 1").fill("simulate");
    await page.getByLabel("Value 1").fill(simulate);
  }
}

const submit = (page: Page) => page.getByRole("button", { name: "Make the payment" });
const status = (page: Page, name: string) =>
  page.getByRole("region", { name: "Status" }).getByText(name, { exact: true }).first();

test("a payment is made and followed to its end", async ({ page }) => {
  await fill(page, { merchant: "Follow me", simulate: "slow:2" });
  await submit(page).click();
  await expect(page.getByRole("heading", { level: 1 })).toContainText("$42.50");
  await expect(status(page, "Processing")).toBeVisible();
  // A slow payment ends as its id says: 15 in 100 fail.
  const ended = status(page, "Completed").or(status(page, "Failed"));
  await expect(ended).toBeVisible({ timeout: 20_000 });
});

test("a payment that fails explains itself", async ({ page }) => {
  await fill(page, { merchant: "Poor payer", simulate: "failed:insufficient_funds" });
  await submit(page).click();
  await expect(page.getByText("did not hold enough")).toBeVisible({ timeout: 20_000 });
});

test("a form that is sent twice makes one payment", async ({ page }) => {
  const merchant = `Twice ${crypto.randomUUID()}`;
  await fill(page, { merchant });
  const sent: string[] = [];
  page.on("request", (request) => {
    if (request.method() === "POST") sent.push(request.postData() ?? "");
  });
  let first = true;
  await page.route("**/v1/payments", async (route) => {
    const request = route.request();
    if (request.method() !== "POST" || !first) return route.continue();
    first = false;
    await route.fetch(); // it arrives, and the answer is lost
    return route.abort();
  });
  await submit(page).dblclick();
  await expect(page.getByText("The payment may have been made all the same")).toBeVisible();
  expect(sent).toHaveLength(1);
  await submit(page).click();
  await expect(page.getByRole("heading", { level: 1 })).toContainText(merchant);
  expect(new Set(sent.map((body) => JSON.parse(body).idempotency_key)).size).toBe(1);
  const listed = await (await fetch(`${api()}/v1/payments?limit=100`)).json();
  const made = listed.payments.filter((one: { merchant: string }) => one.merchant === merchant);
  expect(made).toHaveLength(1);
});

test("who has gone elsewhere is left there when the payment is made", async ({ page }) => {
  await fill(page, { merchant: "Left alone" });
  await page.route("**/v1/payments", async (route) => {
    if (route.request().method() === "POST") await new Promise((go) => setTimeout(go, 500));
    await route.continue();
  });
  const made = page.waitForResponse((response) => response.request().method() === "POST");
  await submit(page).click();
  await page.getByRole("link", { name: "Logs" }).click();
  await made;
  await expect(page.getByRole("heading", { name: "Logs" })).toBeVisible();
  await expect(page).toHaveURL(/logs/);
});

test("what the API would refuse is said at the field", async ({ page }) => {
  await fill(page, { merchant: " ", amount: "12.345" });
  await submit(page).click();
  await expect(page.getByLabel("Merchant")).toBeFocused();
  await expect(page.getByText("At most 2 decimals in CAD.")).toBeVisible();
});

test("filters, pages and the back button tell one story", async ({ page }) => {
  for (let n = 0; n < 22; n++) await make({ merchant: `Paged ${n}`, simulate: "pending" });
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

test("a day that is typed is one step, and back undoes it; an address that means nothing is mended", async ({
  page,
}) => {
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

test("a payment is found by its id, and its address can be shared", async ({ page }) => {
  const { id } = await make({ merchant: "Needle" });
  await page.goto(`${site()}/payments`);
  await page.getByLabel("Find a payment").fill(id.toLowerCase());
  await page.keyboard.press("Enter");
  await expect(page).toHaveURL(`${site()}/payments/${id}`);
  await page.goto(`${site()}/payments/${id}`);
  await expect(page.getByRole("heading", { level: 1 })).toContainText("Needle");
});

test("a payment that is not there is said to be so", async ({ page }) => {
  await page.goto(`${site()}/payments/PAY-NONE`);
  await expect(page.getByRole("alert")).toContainText("Request");
});

test("new payments wait until they are asked for, and no row moves", async ({ page }) => {
  await make({ merchant: "Already there" });
  await page.goto(`${site()}/payments?type=eft`);
  const first = page.getByRole("row").nth(1);
  const before = await first.textContent();
  const { id } = await make({ merchant: "Newcomer" });
  const pill = page.getByRole("button", { name: /new payments?$/ });
  await expect(pill).toBeVisible({ timeout: 15_000 });
  expect((await first.textContent())?.slice(0, 8)).toBe(before?.slice(0, 8));
  await pill.click();
  await expect(page.getByRole("row").filter({ hasText: id })).toBeVisible();
});

test("the filtered list is saved as CSV", async ({ page }) => {
  const { id } = await make({ merchant: "=HYPERLINK(1)", amount: "1250.75" });
  await page.goto(`${site()}/payments?type=eft&status=completed`);
  await expect(page.getByRole("row").filter({ hasText: id })).toBeVisible({ timeout: 15_000 });
  const saved = page.waitForEvent("download");
  await page.getByRole("button", { name: "CSV" }).click();
  const stream = await (await saved).createReadStream();
  const text = Buffer.concat(await stream.toArray()).toString();
  expect(text).toContain("'=HYPERLINK(1),1250.75,CAD,eft");
});

test("an API that goes away is said to be away, and shown again when it is back", async ({
  page,
}) => {
  await make({ merchant: "Still here" });
  await page.goto(`${site()}/payments`);
  await expect(page.getByRole("row").nth(1)).toBeVisible();
  await page.route(`${api()}/**`, (route) => route.abort());
  await expect(page.getByRole("alert")).toContainText("does not answer", { timeout: 20_000 });
  await expect(page.getByRole("row").nth(1)).toBeVisible();
  await page.unroute(`${api()}/**`);
  await page.getByRole("button", { name: "Try again" }).click();
  await expect(page.getByRole("alert")).toHaveCount(0);
});
