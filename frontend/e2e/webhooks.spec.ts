import { expect, type Page, test } from "@playwright/test";
import { api, createPayment, site } from "./api";

const receiver = () => process.env.PAYFLOW_E2E_RECEIVER ?? "";

// The receiver has one list of secrets, and an API has at most ten endpoints, so run one test at a time.
test.describe.configure({ mode: "serial" });

test.afterEach(async () => {
  const { webhook_endpoints: all } = await (await fetch(`${api()}/v1/webhook_endpoints`)).json();
  for (const { id } of all) {
    await fetch(`${api()}/v1/webhook_endpoints/${id}`, { method: "DELETE" });
  }
});

/** Create an endpoint in the dashboard. Returns its secret. */
async function createEndpoint(page: Page, path: string): Promise<string> {
  await page.goto(`${site()}/webhooks`);
  await page.getByRole("button", { name: "New endpoint" }).click();
  await page.getByLabel("URL").fill(receiver() + path);
  await page.getByRole("button", { name: "Create endpoint" }).click();
  const secret = page.getByRole("dialog").locator("code");
  await expect(secret).toContainText("whsec_");
  const text = (await secret.textContent()) ?? "";
  await page.getByRole("button", { name: "Done" }).click();
  await expect(page.locator("body")).not.toContainText(text);
  return text;
}

const trustSecret = (secret: string) =>
  fetch(`${receiver()}/secrets`, { method: "PUT", body: JSON.stringify({ secrets: [secret] }) });

async function openEndpoint(page: Page, path: string) {
  await page.getByRole("link", { name: receiver() + path }).click();
  await expect(page.getByRole("region", { name: "Deliveries" })).toBeVisible();
}

test("a new endpoint receives the signed outcome of a payment", async ({ page }) => {
  await trustSecret(await createEndpoint(page, "/merchant"));
  const { id } = await createPayment({ merchant: "Notified" });
  await expect
    .poll(async () => JSON.stringify(await (await fetch(`${receiver()}/received`)).json()))
    .toContain(id);
  await page.goto(`${site()}/payments/${id}`);
  const webhooks = page.getByRole("region", { name: "Webhooks" });
  await expect(webhooks).toContainText("payment.completed");
  await expect(webhooks).toContainText("Delivered");
  await webhooks.getByText("1 attempt").click();
  await expect(webhooks).toContainText("200 in");
  await expect(page.getByRole("region", { name: "Status" })).toContainText("Webhook");
});

test("a test event appears among the deliveries", async ({ page }) => {
  await createEndpoint(page, "/status/204");
  await openEndpoint(page, "/status/204");
  await page.getByRole("button", { name: "Send test event" }).click();
  const log = page.getByRole("region", { name: "Deliveries" });
  await expect(log).toContainText("endpoint.test");
  await expect(log).toContainText("Delivered");
});

test("a failing endpoint shows its attempts, and can be replayed", async ({ page }) => {
  await createEndpoint(page, "/status/500");
  await openEndpoint(page, "/status/500");
  await page.getByRole("button", { name: "Send test event" }).click();
  const log = page.getByRole("region", { name: "Deliveries" });
  await expect(log).toContainText("Pending");
  await log
    .getByText(/attempt/)
    .first()
    .click();
  await expect(log).toContainText("500 in");
  await expect(page.getByText("Failing", { exact: true })).toBeVisible();
  await log.getByRole("button", { name: /^Replay endpoint.test/ }).click();
  await expect(log).toContainText(/[2-9] attempts/);
});

test("a gone endpoint is disabled with a banner, and enabled again", async ({ page }) => {
  await createEndpoint(page, "/status/410");
  await openEndpoint(page, "/status/410");
  await page.getByRole("button", { name: "Send test event" }).click();
  await expect(page.getByText("It returned 410")).toBeVisible();
  await page.goto(`${site()}/logs`);
  await expect(page.getByText("A webhook endpoint is disabled")).toBeVisible();
  await page.getByRole("link", { name: receiver() }).first().click();
  await page.getByRole("button", { name: "Enable", exact: true }).click();
  await expect(page.getByText("It returned 410")).toHaveCount(0);
});

test("an endpoint is edited, its secret rotated, and deleted", async ({ page }) => {
  const secret = await createEndpoint(page, "/status/200");
  await openEndpoint(page, "/status/200");
  await page.getByRole("button", { name: "Edit" }).click();
  await page.getByLabel("All events, including future types").uncheck();
  await page.getByLabel("Refund failed").check();
  await page.getByRole("button", { name: "Save changes" }).click();
  await expect(page.getByRole("region", { name: "Endpoint" })).toContainText("refund.failed");
  await page.getByRole("button", { name: "Rotate secret" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Rotate secret" }).click();
  const rotated = page.getByRole("dialog").locator("code");
  await expect(rotated).toContainText("whsec_");
  await expect(rotated).not.toHaveText(secret);
  await page.getByRole("button", { name: "Done" }).click();
  await expect(page.getByText("Old secret valid until")).toBeVisible();
  await page.getByRole("button", { name: "Delete", exact: true }).click();
  await page.getByRole("button", { name: "Delete endpoint" }).click();
  await expect(page.getByText("No endpoints yet")).toBeVisible();
});

test("an invalid URL is rejected at its field", async ({ page }) => {
  await page.goto(`${site()}/webhooks`);
  await page.getByRole("button", { name: "New endpoint" }).click();
  await page.getByLabel("URL").fill("ftp://example.com/");
  await page.getByRole("button", { name: "Create endpoint" }).click();
  await expect(page.getByLabel("URL")).toHaveAttribute("aria-invalid", "true");
});
