import { expect, type Page, test } from "@playwright/test";

const site = () => process.env.PAYFLOW_E2E_CLOSED_SITE ?? "";
const api = () => process.env.PAYFLOW_E2E_CLOSED_API ?? "";
const adminKey = () => process.env.PAYFLOW_E2E_KEY ?? "";

async function signIn(page: Page, key = adminKey(), path = "/") {
  await page.goto(site() + path);
  await page.getByLabel("API key").fill(key);
  await page.getByRole("button", { name: "Sign in" }).click();
}

const request = (path: string, key: string) =>
  fetch(api() + path, { headers: { Authorization: `Bearer ${key}` } });

async function createReadKey(name: string): Promise<string> {
  const response = await fetch(`${api()}/v1/api_keys`, {
    method: "POST",
    headers: { Authorization: `Bearer ${adminKey()}`, "Content-Type": "application/json" },
    body: JSON.stringify({ name, scopes: ["read"] }),
  });
  return (await response.json()).key;
}

test("every page asks for a key first", async ({ page }) => {
  await page.goto(`${site()}/payments`);
  await expect(page.getByRole("heading", { name: "Sign in" })).toBeVisible();
  await expect(page.getByRole("navigation")).toHaveCount(0);
});

test("signing in rejects a wrong key, and opens the requested page", async ({ page }) => {
  await signIn(page, "pf_local_wrong", "/keys");
  await expect(page.getByText("This key is invalid")).toBeVisible();
  await page.getByLabel("API key").fill(adminKey());
  await page.keyboard.press("Enter");
  await expect(page.getByRole("heading", { name: "API keys" })).toBeVisible();
});

test("the key stays in its tab, and is deleted on sign-out", async ({ page, context }) => {
  await signIn(page);
  await expect(page.getByRole("heading", { name: "Overview" })).toBeVisible();
  await page.reload();
  await expect(page.getByRole("heading", { name: "Overview" })).toBeVisible();
  const other = await context.newPage();
  await other.goto(`${site()}/`);
  await expect(other.getByRole("heading", { name: "Sign in" })).toBeVisible();
  await page.getByRole("button", { name: "Sign out" }).click();
  await expect(page.getByRole("heading", { name: "Sign in" })).toBeVisible();
  expect(
    await page.evaluate(() => JSON.stringify({ ...sessionStorage, ...localStorage })),
  ).not.toContain("pf_local");
});

test("a key is created, shown once, used, rolled and revoked", async ({ page }) => {
  const name = `Created here ${Date.now()}`;
  await signIn(page, adminKey(), "/keys");
  await page.getByRole("button", { name: "New key" }).click();
  await page.getByLabel("Name").fill(name);
  await page.getByRole("radio", { name: /^Read/ }).check();
  await page.getByRole("button", { name: "Create key" }).click();
  const secret = page.getByRole("dialog").locator("code");
  await expect(secret).toContainText("pf_local_");
  const created = (await secret.textContent()) ?? "";
  expect((await request("/v1/payments", created)).status).toBe(200);
  expect((await request("/v1/api_keys", created)).status).toBe(403);
  await page.getByRole("button", { name: "Done" }).click();
  await expect(page.locator("body")).not.toContainText(created);

  await page.getByRole("button", { name: `Roll ${name}` }).click();
  await page.getByRole("button", { name: "Roll key" }).click();
  await expect(secret).toContainText("pf_local_");
  const rolled = (await secret.textContent()) ?? "";
  expect(rolled).not.toBe(created);
  await page.getByRole("button", { name: "Done" }).click();

  const row = page.getByRole("listitem").filter({ hasText: name });
  await expect(row).toHaveCount(2);
  await row.first().getByRole("button", { name: "Revoke" }).click();
  await page.getByRole("button", { name: "Revoke key" }).click();
  await expect(row.first().getByText("Revoked")).toBeVisible();
});

test("a dialog restores the focus, and survives a double click", async ({ page }) => {
  const name = `Focused ${Date.now()}`;
  await signIn(page, adminKey(), "/keys");
  const opener = page.getByRole("button", { name: "New key" });
  await opener.press("Enter");
  await expect(page.getByLabel("Name")).toBeFocused();
  await page.keyboard.press("Escape");
  await expect(opener).toBeFocused();
  await opener.press("Enter");
  await page.keyboard.type(name);
  await page.keyboard.press("Enter");
  await expect(page.getByRole("heading", { name: `New key: ${name}` })).toBeFocused();
  await page.keyboard.press("Enter");
  await page.getByRole("button", { name: "Done" }).press("Enter");
  await expect(opener).toBeFocused();

  await page.getByRole("button", { name: `Roll ${name}` }).click();
  await page.getByRole("button", { name: "Roll key" }).dblclick();
  await expect(page.getByRole("dialog").locator("code")).toContainText("pf_local_");
  await page.getByRole("button", { name: "Done" }).click();

  const row = page.getByRole("listitem").filter({ hasText: name });
  await row.first().getByRole("button", { name: "Revoke" }).click();
  await page.getByRole("button", { name: "Revoke key" }).click();
  await expect(page.getByRole("heading", { name: "API keys" })).toBeFocused();
});

test("a dialog stays open until it can show the new key", async ({ page }) => {
  await signIn(page, adminKey(), "/keys");
  let answer = () => {};
  const answered = new Promise<void>((resolve) => {
    answer = resolve;
  });
  await page.route("**/v1/api_keys", async (route) => {
    if (route.request().method() === "POST") await answered;
    await route.continue();
  });
  await page.getByRole("button", { name: "New key" }).click();
  await page.keyboard.type("Awaited");
  await page.keyboard.press("Enter");
  await expect(page.getByRole("button", { name: "Create key" })).toBeDisabled();
  await page.keyboard.press("Escape");
  await page.keyboard.press("Escape");
  answer();
  await expect(page.getByRole("dialog").locator("code")).toContainText("pf_local_");
});

test("a forbidden request shows an error, and does not sign out", async ({ page }) => {
  await signIn(page, await createReadKey("reader"), "/keys");
  await expect(page.getByRole("alert")).toContainText("admin");
  await expect(page.getByRole("alert")).toContainText("Request ID");
  await expect(page.getByRole("button", { name: "Sign out" })).toBeVisible();
});

test("the next key does not see what the last one loaded", async ({ page }) => {
  const reader = await createReadKey("next reader");
  await signIn(page, adminKey(), "/keys");
  await expect(page.getByText("operator", { exact: true })).toBeVisible();
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByLabel("API key").fill(reader);
  await page.keyboard.press("Enter");
  await expect(page.getByRole("alert")).toContainText("admin");
  await expect(page.getByText("operator", { exact: true })).toHaveCount(0);
});

test("a key that a header cannot carry is rejected", async ({ page }) => {
  await signIn(page, "pf_local_\u201cquoted\u201d");
  await expect(page.getByText("A key contains only letters")).toBeVisible();
  await page.getByLabel("API key").fill(adminKey());
  await page.keyboard.press("Enter");
  await expect(page.getByRole("heading", { name: "Overview" })).toBeVisible();
});

test("submitting a form with a revoked key leads to the sign-in", async ({ page }) => {
  await signIn(page, adminKey(), "/payments/new");
  await page.getByLabel("Merchant").fill("Signed out");
  await page.getByLabel("Amount").fill("1.00");
  await page.evaluate(() => sessionStorage.setItem("payflow-key", "pf_local_gone"));
  await page.getByRole("button", { name: "Create payment" }).click();
  await expect(page.getByRole("heading", { name: "Sign in" })).toBeVisible();
});

test("reloading with a revoked key leads to the sign-in", async ({ page }) => {
  await signIn(page, adminKey(), "/payments");
  await expect(page.getByRole("heading", { name: "Payments" })).toBeVisible();
  await page.evaluate(() => sessionStorage.setItem("payflow-key", "pf_local_gone"));
  await page.reload();
  await expect(page.getByRole("heading", { name: "Sign in" })).toBeVisible();
});
