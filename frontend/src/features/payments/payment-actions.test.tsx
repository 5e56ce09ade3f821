import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { render, screen, waitFor } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { beforeEach, describe, expect, it, vi } from "vitest";
import type { Payment } from "../../api/client";
import { Actions } from "./payment-actions";

const PAYMENT = {
  id: "PAY-1",
  merchant: "Rideau Bakery",
  amount: 100,
  amount_refunded: 60,
  currency: "CAD",
  status: "completed",
} as Payment;

let sent: { url: string; body: Record<string, string> | undefined }[] = [];
const answers: Response[] = [];

beforeEach(() => {
  sent = [];
  answers.length = 0;
  vi.stubGlobal("fetch", async (request: Request) => {
    const text = await request.text();
    sent.push({ url: request.url, body: text ? JSON.parse(text) : undefined });
    const answer = answers.shift();
    if (!answer) throw new TypeError("nothing answers");
    return answer;
  });
});

function show(payment: Payment) {
  render(
    <QueryClientProvider client={new QueryClient()}>
      <Actions payment={payment} />
    </QueryClientProvider>,
  );
  return userEvent.setup();
}

describe("what can be done", () => {
  it.each([
    ["processing", ["Cancel"]],
    ["completed", ["Refund"]],
    ["failed", []],
    ["canceled", []],
    ["returned", []],
  ] as const)("about a %s payment", (status, names) => {
    show({ ...PAYMENT, status });
    expect(screen.queryAllByRole("button").map((button) => button.textContent)).toEqual(names);
  });

  it("is nothing when nothing is left", () => {
    show({ ...PAYMENT, amount_refunded: 100 });
    expect(screen.queryByRole("button")).toBeNull();
  });
});

it("a payment is canceled once it is confirmed, and not before", async () => {
  answers.push(Response.json({ ...PAYMENT, status: "canceled" }));
  const user = show({ ...PAYMENT, status: "processing" });
  await user.click(screen.getByRole("button", { name: "Cancel" }));
  expect(sent).toEqual([]);
  await user.click(screen.getByRole("button", { name: "Cancel the payment" }));
  await waitFor(() => expect(screen.queryByRole("dialog")).toBeNull());
  expect(sent.map(({ url }) => url)).toEqual(["http://api.test/v1/payments/PAY-1/cancel"]);
});

it("a refund offers all that is left, and keeps its key from one try to the next", async () => {
  const user = show(PAYMENT);
  await user.click(screen.getByRole("button", { name: "Refund" }));
  expect(screen.getByLabelText("Amount in CAD")).toHaveValue("40.00");
  await user.click(screen.getByRole("button", { name: "Refund it" }));
  await screen.findByText(/may have been made all the same/);
  answers.push(Response.json({ id: "REF-1" }, { status: 201 }));
  await user.click(screen.getByRole("button", { name: "Refund it" }));
  await waitFor(() => expect(screen.queryByRole("dialog")).toBeNull());
  expect(sent).toHaveLength(2);
  expect(sent[0]?.body).toEqual(sent[1]?.body);
  expect(sent[0]?.body).toMatchObject({ amount: "40.00", reason: null });
});

it("what the API refuses is said in its own words", async () => {
  answers.push(
    Response.json(
      {
        code: "refund_exceeds_payment",
        title: "The refund is more than what is left of the payment",
        detail: "Of this payment 10.00 CAD can be refunded, not 40.00.",
        request_id: "request-1",
      },
      { status: 422 },
    ),
  );
  const user = show(PAYMENT);
  await user.click(screen.getByRole("button", { name: "Refund" }));
  await user.click(screen.getByRole("button", { name: "Refund it" }));
  const alert = await screen.findByRole("alert");
  expect(alert).toHaveTextContent("Of this payment 10.00 CAD can be refunded, not 40.00.");
  expect(alert).toHaveTextContent("request-1");
});
