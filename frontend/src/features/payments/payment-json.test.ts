import { expect, it } from "vitest";
import type { Payment } from "../../api/client";
import { toPaymentJson } from "./payment-json";

it("toPaymentJson restores two decimals, in amounts only", () => {
  const payment = { amount: 12.5, amount_refunded: 0, metadata: { note: '  "amount": 1' } };
  const json = toPaymentJson(payment as unknown as Payment);
  expect(json).toContain('"amount": 12.50,');
  expect(json).toContain('"amount_refunded": 0.00,');
  expect(json).toContain('\\"amount\\": 1"');
});
