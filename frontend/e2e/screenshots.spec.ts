import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { expect, type Page, test } from "@playwright/test";

const ROOT = join(import.meta.dirname, "../..");
const README = join(ROOT, "docs/dashboard.png");
const FOLDER = join(ROOT, "frontend/screenshots");
const SIZES = { desktop: { width: 1440, height: 900 }, phone: { width: 390, height: 844 } };
const SCHEMES = ["light", "dark"] as const;

const site = () => process.env.PAYFLOW_E2E_SITE ?? "";
const api = () => process.env.PAYFLOW_E2E_API ?? "";

const python = (...module: string[]) =>
  execFileSync(join(ROOT, ".venv/bin/python"), ["-m", ...module], { cwd: ROOT });

let endpoint = "";

test.beforeAll(async () => {
  python("infra.checks.past_payments");
  const shop = await createEndpoint("/orders", "The shop");
  endpoint = shop.id;
  await fetch(`${process.env.PAYFLOW_E2E_RECEIVER}/secrets`, {
    method: "PUT",
    body: JSON.stringify({ secrets: [shop.secret] }),
  });
  await createEndpoint("/status/503", "The warehouse, which is closed");
  python("infra.local.seed", "60");
});

async function createEndpoint(
  path: string,
  description: string,
): Promise<{ id: string; secret: string }> {
  const url = (process.env.PAYFLOW_E2E_RECEIVER ?? "") + path;
  const response = await fetch(`${api()}/v1/webhook_endpoints`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ url, description, events: ["*"] }),
  });
  return response.json();
}

async function newestPayment(status: string): Promise<string> {
  const response = await fetch(`${api()}/v1/payments?status=${status}&limit=1`);
  return (await response.json()).payments[0].id;
}

/** A completed payment with a partial refund. */
async function refundedPayment(): Promise<string> {
  const id = await newestPayment("completed");
  await fetch(`${api()}/v1/payments/${id}/refunds`, {
    method: "POST",
    headers: { "Content-Type": "application/json", "Idempotency-Key": `refund-of-${id}` },
    body: JSON.stringify({ amount: "5.00", reason: "One item was missing" }),
  });
  return id;
}

async function waitUntilLoaded(page: Page) {
  await expect(page.getByRole("heading", { level: 1 })).toBeVisible(); // not "Connecting…"
  await expect(page.getByText(/^Loading/)).toHaveCount(0);
  await page.waitForLoadState("networkidle");
}

test("every page, in both sizes and themes", async ({ browser }) => {
  const pages = {
    overview: "/",
    payments: "/payments",
    payment: `/payments/${await refundedPayment()}`,
    failed: `/payments/${await newestPayment("failed")}`,
    refunds: "/refunds",
    new: "/payments/new",
    exports: "/exports",
    webhooks: "/webhooks",
    endpoint: `/webhooks/${endpoint}`,
    logs: "/logs",
    audit: "/audit",
    keys: "/keys",
    reference: "/reference",
    missing: "/payments/PAY-NONE",
  };
  for (const [size, viewport] of Object.entries(SIZES)) {
    for (const colorScheme of SCHEMES) {
      const context = await browser.newContext({ viewport, colorScheme });
      const page = await context.newPage();
      for (const [name, path] of Object.entries(pages)) {
        await page.goto(site() + path);
        await waitUntilLoaded(page);
        await page.screenshot({
          path: join(FOLDER, `${name}-${size}-${colorScheme}.png`),
          fullPage: name !== "reference",
        });
      }
      await context.close();
    }
  }
});

test("the overview, for the README", async ({ browser }) => {
  const context = await browser.newContext({ viewport: SIZES.desktop, colorScheme: "light" });
  const page = await context.newPage();
  await page.goto(`${site()}/`);
  await waitUntilLoaded(page);
  await page.screenshot({ path: README });
  await context.close();
});
