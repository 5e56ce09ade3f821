import { expect, type Page, test } from "@playwright/test";
import { api, make, site } from "./api";

const sink = () => process.env.PAYFLOW_E2E_SINK ?? "";
const soon = { timeout: 20_000 };

// The sink has one list of secrets, and there can be ten endpoints: one test after the other.
test.describe.configure({ mode: "serial" });

test.afterEach(async () => {
  const { webhook_endpoints: all } = await (await fetch(`${api()}/v1/webhook_endpoints`)).json();
  for (const { id } of all) {
    await fetch(`${api()}/v1/webhook_endpoints/${id}`, { method: "DELETE" });
  }
});

/** Makes an endpoint on the page; returns its secret, once it was shown. */
async function newEndpoint(page: Page, path: string): Promise<string> {
  await page.goto(`${site()}/webhooks`);
  await page.getByRole("button", { name: "New endpoint" }).click();
  await page.getByLabel("URL").fill(sink() + path);
  await page.getByRole("button", { name: "Make the endpoint" }).click();
  const secret = page.getByRole("dialog").locator("code");
  await expect(secret).toContainText("whsec_");
  const text = (await secret.textContent()) ?? "";
  await page.getByRole("button", { name: "I have it" }).click();
  await expect(page.locator("body")).not.toContainText(text);
  return text;
}

const know = (secret: string) =>
  fetch(`${sink()}/secrets`, { method: "PUT", body: JSON.stringify({ secrets: [secret] }) });

async function openEndpoint(page: Page, path: string) {
  await page.getByRole("link", { name: sink() + path }).click();
  await expect(page.getByRole("region", { name: "Deliveries" })).toBeVisible();
}

test("an endpoint is made, its secret shown once, and a payment's outcome reaches it signed", async ({
  page,
}) => {
  await know(await newEndpoint(page, "/merchant"));
  const { id } = await make({ merchant: "Told of" });
  await expect
    .poll(async () => JSON.stringify(await (await fetch(`${sink()}/received`)).json()), soon)
    .toContain(id);
  await page.goto(`${site()}/payments/${id}`);
  const webhooks = page.getByRole("region", { name: "Webhooks" });
  await expect(webhooks).toContainText("payment.completed", soon);
  await expect(webhooks).toContainText("Delivered", soon);
  await webhooks.getByText("1 attempt").click();
  await expect(webhooks).toContainText("200 in");
  await expect(page.getByRole("region", { name: "Status" })).toContainText("Webhook");
});

test("a test event is sent, and what came of it is in the log", async ({ page }) => {
  await newEndpoint(page, "/status/204");
  await openEndpoint(page, "/status/204");
  await page.getByRole("button", { name: "Send a test event" }).click();
  const log = page.getByRole("region", { name: "Deliveries" });
  await expect(log).toContainText("endpoint.test", soon);
  await expect(log).toContainText("Delivered", soon);
});

test("an endpoint that fails shows each attempt, and a delivery is made again", async ({
  page,
}) => {
  await newEndpoint(page, "/status/500");
  await openEndpoint(page, "/status/500");
  await page.getByRole("button", { name: "Send a test event" }).click();
  const log = page.getByRole("region", { name: "Deliveries" });
  await expect(log).toContainText("Pending", soon);
  await log
    .getByText(/attempt/)
    .first()
    .click();
  await expect(log).toContainText("500 in", soon);
  await expect(page.getByText("Failing", { exact: true })).toBeVisible(soon);
  await log.getByRole("button", { name: /^Replay endpoint.test/ }).click();
  await expect(log).toContainText(/[2-9] attempts/, soon);
});

test("an endpoint that is gone is disabled, every page says so, and it is enabled again", async ({
  page,
}) => {
  await newEndpoint(page, "/status/410");
  await openEndpoint(page, "/status/410");
  await page.getByRole("button", { name: "Send a test event" }).click();
  await expect(page.getByText("It answered 410")).toBeVisible(soon);
  await page.goto(`${site()}/logs`);
  await expect(page.getByText("A webhook endpoint was disabled")).toBeVisible(soon);
  await page.getByRole("link", { name: sink() }).first().click();
  await page.getByRole("button", { name: "Enable it again" }).click();
  await expect(page.getByText("It answered 410")).toHaveCount(0);
});

test("an endpoint is changed, its secret rotated, and it is deleted", async ({ page }) => {
  const secret = await newEndpoint(page, "/status/200");
  await openEndpoint(page, "/status/200");
  await page.getByRole("button", { name: "Change" }).click();
  await page.getByLabel("Everything, later kinds of events too").uncheck();
  await page.getByLabel("Refund failed").check();
  await page.getByRole("button", { name: "Save" }).click();
  await expect(page.getByRole("region", { name: "Endpoint" })).toContainText("refund.failed");
  await page.getByRole("button", { name: "Rotate the secret" }).click();
  await page.getByRole("button", { name: "Rotate it" }).click();
  const rotated = page.getByRole("dialog").locator("code");
  await expect(rotated).toContainText("whsec_");
  await expect(rotated).not.toHaveText(secret);
  await page.getByRole("button", { name: "I have it" }).click();
  await expect(page.getByText("An old secret signs along until")).toBeVisible();
  await page.getByRole("button", { name: "Delete", exact: true }).click();
  await page.getByRole("button", { name: "Delete it" }).click();
  await expect(page.getByText("There is no endpoint yet")).toBeVisible();
});

test("a URL that no webhook may go to is refused at its field", async ({ page }) => {
  await page.goto(`${site()}/webhooks`);
  await page.getByRole("button", { name: "New endpoint" }).click();
  await page.getByLabel("URL").fill("ftp://example.com/");
  await page.getByRole("button", { name: "Make the endpoint" }).click();
  await expect(page.getByLabel("URL")).toHaveAttribute("aria-invalid", "true");
});
