import { describe, expect, it } from "vitest";
import type { Payment } from "../../api/client";
import { refundableAmount, refundFieldErrors, toRefundRequest } from "./refund-form";

const payment = (part: Partial<Payment>) =>
  ({ amount: 100, amount_refunded: 0, status: "completed", ...part }) as Payment;

it.each([
  [{}, 100],
  [{ amount_refunded: 90 }, 10],
  [{ amount: 0.3, amount_refunded: 0.1 }, 0.2],
  [{ amount_refunded: 100 }, 0],
  [{ status: "processing" as const }, 0],
  [{ status: "returned" as const, amount_refunded: 40 }, 0],
  [{ direction: "credit" as const }, 0],
])("refundableAmount of %o is %d", (part, amount) => {
  expect(refundableAmount(payment(part))).toBe(amount);
});

describe("refundFieldErrors", () => {
  it.each(["10", "0.20"])("accepts %j", (amount) => {
    expect(refundFieldErrors({ amount, reason: "" }, 10)).toEqual({});
  });

  it.each(["", "0", "1.234", "10.01", "1e1"])("rejects %j", (amount) => {
    expect(Object.keys(refundFieldErrors({ amount, reason: "" }, 10))).toEqual(["amount"]);
  });
});

it("toRefundRequest sends the amount as typed, and null for an empty reason", () => {
  expect(toRefundRequest({ amount: " 12.50 ", reason: " " }, "idempotency-key")).toEqual({
    amount: "12.50",
    reason: null,
    idempotency_key: "idempotency-key",
  });
});
