import { expect, type Page, test } from "@playwright/test";

const site = () => process.env.PAYFLOW_E2E_CLOSED_SITE ?? "";
const api = () => process.env.PAYFLOW_E2E_CLOSED_API ?? "";
const key = () => process.env.PAYFLOW_E2E_KEY ?? "";

async function signIn(page: Page, own = key(), path = "/") {
  await page.goto(site() + path);
  await page.getByLabel("API key").fill(own);
  await page.getByRole("button", { name: "Sign in" }).click();
}

const ask = (path: string, own: string) =>
  fetch(api() + path, { headers: { Authorization: `Bearer ${own}` } });

test("without a key there is nothing but the sign-in, at any address", async ({ page }) => {
  await page.goto(`${site()}/payments`);
  await expect(page.getByRole("heading", { name: "Sign in" })).toBeVisible();
  await expect(page.getByRole("navigation")).toHaveCount(0);
});

test("a wrong key is said to be wrong, and the right one leads where one wanted to go", async ({
  page,
}) => {
  await signIn(page, "pf_local_wrong", "/keys");
  await expect(page.getByText("This key is not known")).toBeVisible();
  await page.getByLabel("API key").fill(key());
  await page.keyboard.press("Enter");
  await expect(page.getByRole("heading", { name: "API keys" })).toBeVisible();
});

test("the key is kept for this tab only, and gone after signing out", async ({ page, context }) => {
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

test("a key is made, shown once, used, rolled and revoked", async ({ page }) => {
  const name = `Made here ${Date.now()}`;
  await signIn(page, key(), "/keys");
  await page.getByRole("button", { name: "New key" }).click();
  await page.getByLabel("Name").fill(name);
  await page.getByRole("radio", { name: /^Read/ }).check();
  await page.getByRole("button", { name: "Make the key" }).click();
  const secret = page.getByRole("dialog").locator("code");
  await expect(secret).toContainText("pf_local_");
  const made = (await secret.textContent()) ?? "";
  expect((await ask("/v1/payments", made)).status).toBe(200);
  expect((await ask("/v1/api_keys", made)).status).toBe(403);
  await page.getByRole("button", { name: "I have it" }).click();
  await expect(page.locator("body")).not.toContainText(made);

  await page.getByRole("button", { name: `Roll ${name}` }).click();
  await page.getByRole("button", { name: "Roll the key" }).click();
  await expect(secret).toContainText("pf_local_");
  const rolled = (await secret.textContent()) ?? "";
  expect(rolled).not.toBe(made);
  await page.getByRole("button", { name: "I have it" }).click();

  const row = page.getByRole("listitem").filter({ hasText: name });
  await expect(row).toHaveCount(2);
  await row.first().getByRole("button", { name: "Revoke" }).click();
  await page.getByRole("button", { name: "Revoke the key" }).click();
  await expect(row.first().getByText("Revoked")).toBeVisible();
});

test("a dialog gives the focus back, and a double click does not close what is shown once", async ({
  page,
}) => {
  const name = `Focused ${Date.now()}`;
  await signIn(page, key(), "/keys");
  const opener = page.getByRole("button", { name: "New key" });
  await opener.press("Enter");
  await expect(page.getByLabel("Name")).toBeFocused();
  await page.keyboard.press("Escape");
  await expect(opener).toBeFocused();
  await opener.press("Enter");
  await page.keyboard.type(name);
  await page.keyboard.press("Enter");
  await expect(page.getByRole("heading", { name: `The key of ${name}` })).toBeFocused();
  await page.keyboard.press("Enter");
  await page.getByRole("button", { name: "I have it" }).press("Enter");
  await expect(opener).toBeFocused();

  await page.getByRole("button", { name: `Roll ${name}` }).click();
  await page.getByRole("button", { name: "Roll the key" }).dblclick();
  await expect(page.getByRole("dialog").locator("code")).toContainText("pf_local_");
  await page.getByRole("button", { name: "I have it" }).click();

  const row = page.getByRole("listitem").filter({ hasText: name });
  await row.first().getByRole("button", { name: "Revoke" }).click();
  await page.getByRole("button", { name: "Revoke the key" }).click();
  await expect(page.getByRole("heading", { name: "API keys" })).toBeFocused();
});

test("a dialog stays while it is waited for what it shows once", async ({ page }) => {
  await signIn(page, key(), "/keys");
  await page.route("**/v1/api_keys", async (route) => {
    if (route.request().method() === "POST") await new Promise((go) => setTimeout(go, 500));
    await route.continue();
  });
  await page.getByRole("button", { name: "New key" }).click();
  await page.keyboard.type("Awaited");
  await page.keyboard.press("Enter");
  await expect(page.getByRole("button", { name: "Make the key" })).toBeDisabled();
  await page.keyboard.press("Escape");
  await page.keyboard.press("Escape");
  await expect(page.getByRole("dialog").locator("code")).toContainText("pf_local_");
});

test("a key that may not do something is told so, and stays signed in", async ({ page }) => {
  const response = await fetch(`${api()}/v1/api_keys`, {
    method: "POST",
    headers: { Authorization: `Bearer ${key()}`, "Content-Type": "application/json" },
    body: JSON.stringify({ name: "reader", scopes: ["read"] }),
  });
  const reader = (await response.json()).key as string;
  await signIn(page, reader, "/keys");
  await expect(page.getByRole("alert")).toContainText("This needs a key with the scope admin.");
  await expect(page.getByRole("alert")).toContainText("Request");
  await expect(page.getByRole("button", { name: "Sign out" })).toBeVisible();
});

test("what one key has seen is not shown to the next", async ({ page }) => {
  const response = await fetch(`${api()}/v1/api_keys`, {
    method: "POST",
    headers: { Authorization: `Bearer ${key()}`, "Content-Type": "application/json" },
    body: JSON.stringify({ name: "next one", scopes: ["read"] }),
  });
  await signIn(page, key(), "/keys");
  await expect(page.getByText("operator", { exact: true })).toBeVisible();
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByLabel("API key").fill((await response.json()).key);
  await page.keyboard.press("Enter");
  await expect(page.getByRole("alert")).toContainText("scope admin");
  await expect(page.getByText("operator", { exact: true })).toHaveCount(0);
});

test("a key that no header can carry is said to be none", async ({ page }) => {
  await signIn(page, "pf_local_\u201cquoted\u201d");
  await expect(page.getByText("A key has letters, digits and _ only.")).toBeVisible();
  await page.getByLabel("API key").fill(key());
  await page.keyboard.press("Enter");
  await expect(page.getByRole("heading", { name: "Overview" })).toBeVisible();
});

test("a form that is sent with a key that is good no longer leads to the sign-in", async ({
  page,
}) => {
  await signIn(page, key(), "/payments/new");
  await page.getByLabel("Merchant").fill("Shut out");
  await page.getByLabel("Amount").fill("1.00");
  await page.evaluate(() => sessionStorage.setItem("payflow-key", "pf_local_gone"));
  await page.getByRole("button", { name: "Make the payment" }).click();
  await expect(page.getByRole("heading", { name: "Sign in" })).toBeVisible();
});

test("a key that is revoked while its tab is open leads back to the sign-in", async ({ page }) => {
  await signIn(page, key(), "/payments");
  await expect(page.getByRole("heading", { name: "Payments" })).toBeVisible();
  await page.evaluate(() => {
    for (const name of Object.keys(sessionStorage)) sessionStorage.setItem(name, "pf_local_gone");
  });
  await page.reload();
  await expect(page.getByRole("heading", { name: "Sign in" })).toBeVisible();
});
