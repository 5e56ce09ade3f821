import AxeBuilder from "@axe-core/playwright";
import { expect, type Page, test } from "@playwright/test";
import { createPayment, site } from "./api";

const closed = () => process.env.PAYFLOW_E2E_CLOSED_SITE ?? "";

/** Every page: its name, its path, and a text that shows that it has loaded. */
const PAGES: readonly [string, (ids: { good: string; bad: string }) => string, string][] = [
  ["the overview", () => "/", "By type and currency"],
  ["the payment list", () => "/payments", "Merchant"],
  ["an empty list", () => "/payments?status=returned", "No matching payments"],
  ["a payment", ({ good }) => `/payments/${good}`, "Details"],
  ["a failed payment", ({ bad }) => `/payments/${bad}`, "insufficient funds"],
  ["a missing payment", () => "/payments/PAY-NONE", "Request ID"],
  ["the refunds", () => "/refunds", "Refunds"],
  ["the payment form", () => "/payments/new", "Create payment"],
  ["the exports", () => "/exports", "Files stay"],
  ["the webhooks", () => "/webhooks", "New endpoint"],
  ["the logs", () => "/logs?path=/v1/health", "/v1/health"], // axe is slow on all 200 rows
  ["the audit log", () => "/audit", "Audit"],
  ["the keys", () => "/keys", "New key"],
  ["the reference", () => "/reference", "Responses"],
  ["a missing page", () => "/nowhere", "Page not found"],
];

const paths = (id: string) => [
  "/",
  "/payments",
  `/payments/${id}`,
  "/payments/new",
  "/refunds",
  "/exports",
  "/webhooks",
  "/logs",
  "/audit",
  "/keys",
  "/reference",
];

/** Runs axe in light and in dark mode. */
async function expectNoViolations(page: Page) {
  for (const colorScheme of ["light", "dark"] as const) {
    // axe must not see colours that are still fading in.
    await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
    await expect(page.locator("html")).toHaveAttribute("data-theme", colorScheme);
    const { violations } = await new AxeBuilder({ page }).analyze();
    const details = violations.map(({ id, nodes }) => [
      id,
      nodes.map(({ html, failureSummary }) => [html, failureSummary]),
    ]);
    expect(details, colorScheme).toEqual([]);
  }
}

for (const [name, path, loaded] of PAGES) {
  test(`axe finds no violation on ${name}`, async ({ page }) => {
    const { id: good } = await createPayment({ merchant: "Accessible" });
    const { id: bad } = await createPayment({
      merchant: "Inaccessible",
      simulate: "failed:insufficient_funds",
    });
    await page.goto(site() + path({ good, bad }));
    await expect(page.getByText(loaded).first()).toBeVisible();
    await expectNoViolations(page);
  });
}

test("axe finds no violation on the sign-in", async ({ page }) => {
  await page.goto(closed());
  await page.getByLabel("API key").fill("pf_local_wrong");
  await page.keyboard.press("Enter");
  await expect(page.getByText("This key is invalid")).toBeVisible();
  await expectNoViolations(page);
});

test("axe finds no violation in a dialog", async ({ page }) => {
  await page.goto(`${site()}/keys`);
  await page.getByRole("button", { name: "New key" }).click();
  await expect(page.getByRole("dialog")).toBeVisible();
  await expectNoViolations(page);
});

test("axe finds no violation in the table of daily totals", async ({ page }) => {
  await createPayment({ merchant: "Tabled" });
  await page.goto(site());
  await page.getByRole("tab", { name: "Table" }).click();
  await expectNoViolations(page);
});

test("a payment can be created with the keyboard alone", async ({ page }) => {
  await page.goto(`${site()}/payments/new`);
  await expect(page.getByLabel("Merchant")).toBeVisible();
  await page.keyboard.press("Tab");
  await expect(page.getByRole("link", { name: "Skip to content" })).toBeFocused();
  await page.keyboard.press("Enter");
  await page.keyboard.press("Tab");
  await expect(page.getByLabel("Merchant")).toBeFocused();
  await page.keyboard.type("By keyboard");
  await page.keyboard.press("Tab");
  await page.keyboard.type("12.50");
  await page.keyboard.press("Enter");
  await expect(page.getByRole("heading", { level: 1 })).toContainText("By keyboard");
});

test("no page scrolls sideways on a phone", async ({ page }) => {
  await page.setViewportSize({ width: 390, height: 844 });
  const { id } = await createPayment({ merchant: `A name without a space: ${"x".repeat(200)}` });
  for (const path of paths(id)) {
    await page.goto(site() + path);
    await expect(page.getByRole("heading", { level: 1 })).toBeVisible();
    await page.waitForLoadState("networkidle");
    const overflow = await page.evaluate(
      () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
    );
    expect(overflow, path).toBe(0);
  }
});

test("no page violates the strict Content-Security-Policy", async ({ page }) => {
  const errors: string[] = [];
  page.on("console", (message) => {
    if (message.type() === "error") errors.push(message.text());
  });
  const { id } = await createPayment({ merchant: "Safe" });
  for (const path of paths(id)) {
    const response = await page.goto(site() + path);
    expect(response?.headers()["content-security-policy"]).not.toContain("unsafe");
    await page.waitForLoadState("networkidle");
  }
  expect(errors).toEqual([]);
});

test("the theme follows the system until the viewer chooses one", async ({ page }) => {
  await page.emulateMedia({ colorScheme: "dark" });
  await page.goto(`${site()}/payments`);
  const theme = () => page.evaluate(() => document.documentElement.dataset.theme);
  await expect.poll(theme).toBe("dark");
  await page.emulateMedia({ colorScheme: "light" });
  await expect.poll(theme).toBe("light");
  await page.getByRole("radio", { name: "Dark" }).check({ force: true });
  await expect.poll(theme).toBe("dark");
  await page.reload();
  await expect.poll(theme).toBe("dark");
});
