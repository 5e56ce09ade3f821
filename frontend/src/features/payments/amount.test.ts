import { expect, it } from "vitest";
import type { Payment } from "../../api/client";
import { lostAmount } from "./amount";

it.each([
  ["returned whole after a refund", "returned", 12.5, 2.1],
  ["returned but for its refund, by a version before 0.3", "returned", 10.4, 0],
  ["not returned", "completed", 0, 0],
] as const)("what is lost of a payment that is %s", (_, status, amount_returned, lost) => {
  const payment = { status, amount: 12.5, amount_refunded: 2.1, amount_returned };
  expect(lostAmount(payment as Payment)).toBe(lost);
});
