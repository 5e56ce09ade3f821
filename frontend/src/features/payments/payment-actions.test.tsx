import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { render, screen, waitFor } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { beforeEach, describe, expect, it, vi } from "vitest";
import type { Payment } from "../../api/client";
import { PaymentActions } from "./payment-actions";

const PAYMENT = {
  id: "PAY-1",
  merchant: "Rideau Bakery",
  amount: 100,
  amount_refunded: 60,
  currency: "CAD",
  status: "completed",
} as Payment;

let requests: { url: string; body: Record<string, string> | undefined }[] = [];
/** Responses to come. Without one, the API is unreachable. */
const responses: Response[] = [];

beforeEach(() => {
  requests = [];
  responses.length = 0;
  vi.stubGlobal("fetch", async (request: Request) => {
    const text = await request.text();
    requests.push({ url: request.url, body: text ? JSON.parse(text) : undefined });
    const response = responses.shift();
    if (!response) throw new TypeError("Failed to fetch");
    return response;
  });
});

function renderActions(payment: Payment) {
  render(
    <QueryClientProvider client={new QueryClient()}>
      <PaymentActions payment={payment} />
    </QueryClientProvider>,
  );
  return userEvent.setup();
}

const clickButton = (user: ReturnType<typeof userEvent.setup>, name: string) =>
  user.click(screen.getByRole("button", { name }));

describe("PaymentActions", () => {
  it.each([
    ["processing", ["Cancel"]],
    ["completed", ["Refund"]],
    ["failed", []],
    ["canceled", []],
    ["returned", []],
  ] as const)("of a %s payment are %j", (status, labels) => {
    renderActions({ ...PAYMENT, status });
    expect(screen.queryAllByRole("button").map((button) => button.textContent)).toEqual(labels);
  });

  it("offer no refund once everything is refunded", () => {
    renderActions({ ...PAYMENT, amount_refunded: 100 });
    expect(screen.queryByRole("button")).toBeNull();
  });
});

it("canceling a payment needs a confirmation", async () => {
  responses.push(Response.json({ ...PAYMENT, status: "canceled" }));
  const user = renderActions({ ...PAYMENT, status: "processing" });
  await clickButton(user, "Cancel");
  expect(requests).toEqual([]);
  await clickButton(user, "Cancel payment");
  await waitFor(() => expect(screen.queryByRole("dialog")).toBeNull());
  expect(requests.map(({ url }) => url)).toEqual(["http://api.test/v1/payments/PAY-1/cancel"]);
});

describe("a refund", () => {
  it("starts with the refundable amount, and keeps its key on a retry", async () => {
    const user = renderActions(PAYMENT);
    await clickButton(user, "Refund");
    expect(screen.getByLabelText("Amount in CAD")).toHaveValue("40.00");
    await clickButton(user, "Refund payment");
    await screen.findByText(/may have been created/);
    responses.push(Response.json({ id: "REF-1" }, { status: 201 }));
    await clickButton(user, "Refund payment");
    await waitFor(() => expect(screen.queryByRole("dialog")).toBeNull());
    expect(requests).toHaveLength(2);
    expect(requests[0]?.body).toEqual(requests[1]?.body);
    expect(requests[0]?.body).toMatchObject({ amount: "40.00", reason: null });
  });

  it("shows the API's own message when it is rejected", async () => {
    responses.push(
      Response.json(
        {
          code: "refund_exceeds_payment",
          title: "Refund exceeds the refundable amount",
          detail: "Only 10.00 CAD of this payment can be refunded.",
          request_id: "request-1",
        },
        { status: 422 },
      ),
    );
    const user = renderActions(PAYMENT);
    await clickButton(user, "Refund");
    await clickButton(user, "Refund payment");
    const alert = await screen.findByRole("alert");
    expect(alert).toHaveTextContent("Only 10.00 CAD of this payment can be refunded.");
    expect(alert).toHaveTextContent("request-1");
  });
});
