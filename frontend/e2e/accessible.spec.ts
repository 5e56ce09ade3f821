import AxeBuilder from "@axe-core/playwright";
import { expect, type Page, test } from "@playwright/test";
import { make, site } from "./api";

const closed = () => process.env.PAYFLOW_E2E_CLOSED_SITE ?? "";

/** Every page, and what must be on it before it is judged. */
const PAGES: readonly [string, (ids: { good: string; bad: string }) => string, string][] = [
  ["overview", () => "/", "By type and currency"],
  ["payments", () => "/payments", "Merchant"],
  ["an empty list", () => "/payments?status=returned", "No payment"],
  ["a payment", ({ good }) => `/payments/${good}`, "Details"],
  ["a failed payment", ({ bad }) => `/payments/${bad}`, "did not hold enough"],
  ["no payment", () => "/payments/PAY-NONE", "no payment with this id"],
  ["new payment", () => "/payments/new", "Make the payment"],
  ["webhooks", () => "/webhooks", "New endpoint"],
  ["logs", () => "/logs?path=/v1/health", "/v1/health"], // two hundred rows keep axe busy for long
  ["keys", () => "/keys", "New key"],
  ["reference", () => "/reference", "Create a payment"],
  ["no page", () => "/nowhere", "There is no such page"],
];

const addresses = (id: string) => [
  "/",
  "/payments",
  `/payments/${id}`,
  "/payments/new",
  "/webhooks",
  "/logs",
  "/keys",
  "/reference",
];

/** By light and in the dark. */
async function expectNoFinding(page: Page) {
  for (const colorScheme of ["light", "dark"] as const) {
    // Colours that are on their way are nobody's to judge.
    await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
    await expect(page.locator("html")).toHaveAttribute("data-theme", colorScheme);
    const { violations } = await new AxeBuilder({ page }).analyze();
    const found = violations.map(({ id, nodes }) => [
      id,
      nodes.map(({ html, failureSummary }) => [html, failureSummary]),
    ]);
    expect(found, colorScheme).toEqual([]);
  }
}

for (const [name, path, has] of PAGES) {
  test(`axe finds nothing on ${name}, light or dark`, async ({ page }) => {
    const { id: good } = await make({ merchant: "Accessible" });
    const { id: bad } = await make({
      merchant: "Inaccessible",
      simulate: "failed:insufficient_funds",
    });
    await page.goto(site() + path({ good, bad }));
    await expect(page.getByText(has).first()).toBeVisible({ timeout: 20_000 });
    await expectNoFinding(page);
  });
}

test("axe finds nothing on the sign-in, light or dark", async ({ page }) => {
  await page.goto(closed());
  await page.getByLabel("API key").fill("pf_local_wrong");
  await page.keyboard.press("Enter");
  await expect(page.getByText("This key is not known")).toBeVisible();
  await expectNoFinding(page);
});

test("axe finds nothing in a dialog, light or dark", async ({ page }) => {
  await page.goto(`${site()}/keys`);
  await page.getByRole("button", { name: "New key" }).click();
  await expect(page.getByRole("dialog")).toBeVisible();
  await expectNoFinding(page);
});

test("axe finds nothing on the table behind the chart, light or dark", async ({ page }) => {
  await make({ merchant: "Tabled" });
  await page.goto(site());
  await page.getByRole("tab", { name: "Table" }).click({ timeout: 20_000 });
  await expectNoFinding(page);
});

test("everything can be reached by keyboard alone", async ({ page }) => {
  await page.goto(`${site()}/payments/new`);
  await expect(page.getByLabel("Merchant")).toBeVisible();
  await page.keyboard.press("Tab");
  await expect(page.getByRole("link", { name: "Skip to the page" })).toBeFocused();
  await page.keyboard.press("Enter");
  await page.keyboard.press("Tab");
  await expect(page.getByLabel("Merchant")).toBeFocused();
  await page.keyboard.type("By keyboard");
  await page.keyboard.press("Tab");
  await page.keyboard.type("12.50");
  await page.keyboard.press("Enter");
  await expect(page.getByRole("heading", { level: 1 })).toContainText("By keyboard");
});

test("nothing is cut off on a phone", async ({ page }) => {
  await page.setViewportSize({ width: 390, height: 844 });
  const { id } = await make({ merchant: `A name without a space: ${"x".repeat(200)}` });
  for (const path of addresses(id)) {
    await page.goto(site() + path);
    await expect(page.getByRole("heading", { level: 1 })).toBeVisible();
    await page.waitForLoadState("networkidle");
    const tooWide = await page.evaluate(
      () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
    );
    expect(tooWide, path).toBe(0);
  }
});

test("a strict Content-Security-Policy holds on every page", async ({ page }) => {
  const refused: string[] = [];
  page.on("console", (message) => {
    if (message.type() === "error") refused.push(message.text());
  });
  const { id } = await make({ merchant: "Safe" });
  for (const path of addresses(id)) {
    const response = await page.goto(site() + path);
    expect(response?.headers()["content-security-policy"]).not.toContain("unsafe");
    await page.waitForLoadState("networkidle");
  }
  expect(refused).toEqual([]);
});

test("the colours follow the system, and the switch outranks it and is remembered", async ({
  page,
}) => {
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
