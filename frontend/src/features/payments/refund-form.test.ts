import { expect, test } from "vitest";
import type { Payment } from "../../api/client";
import { refundableAmount, refundFieldErrors, toRefundRequest } from "./refund-form";

const payment = (part: Partial<Payment>) =>
  ({ amount: 100, amount_refunded: 0, status: "completed", ...part }) as Payment;

test.each([
  [{}, 100],
  [{ amount_refunded: 90 }, 10],
  [{ amount: 0.3, amount_refunded: 0.1 }, 0.2],
  [{ amount_refunded: 100 }, 0],
  [{ status: "processing" as const }, 0],
  [{ status: "returned" as const, amount_refunded: 40 }, 0],
])("of %o so much is left", (part, left) => {
  expect(refundableAmount(payment(part))).toBe(left);
});

test.each([
  ["10", {}],
  ["0.20", {}],
  ["", ["amount"]],
  ["0", ["amount"]],
  ["1.234", ["amount"]],
  ["10.01", ["amount"]],
  ["1e1", ["amount"]],
])("a refund of %s", (amount, fields) => {
  expect(Object.keys(refundFieldErrors({ amount, reason: "" }, 10))).toEqual(
    Object.keys(fields).length ? fields : [],
  );
});

test("the amount is sent as it was typed, and no reason is none", () => {
  expect(toRefundRequest({ amount: " 12.50 ", reason: " " }, "a-key-of-its-own")).toEqual({
    amount: "12.50",
    reason: null,
    idempotency_key: "a-key-of-its-own",
  });
});
