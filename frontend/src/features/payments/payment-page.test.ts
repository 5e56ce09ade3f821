import { expect, test } from "vitest";
import type { Payment } from "../../api/client";
import { rawOf } from "./payment-page";

test("raw is what the API wrote, zeros included, and no text that only looks like an amount", () => {
  const payment = { amount: 12.5, amount_refunded: 0, metadata: { note: '  "amount": 1' } };
  const raw = rawOf(payment as unknown as Payment);
  expect(raw).toContain('"amount": 12.50,');
  expect(raw).toContain('"amount_refunded": 0.00,');
  expect(raw).toContain('\\"amount\\": 1"');
});
