import { expect, it } from "vitest";
import type { Payment } from "../../api/client";
import { lostAmount } from "./amount";
import { failureCode, failureMessage } from "./labels";

it("explains a return by what the bank's code means", () => {
  const returned = { failure_code: "R16", return_reason: "account_frozen" } as Payment;
  expect(failureCode(returned)).toBe("account_frozen");
  expect(failureMessage("account_frozen")).toContain("frozen");
  const failed = { failure_code: "insufficient_funds", return_reason: null } as Payment;
  expect(failureCode(failed)).toBe("insufficient_funds");
});

it.each([
  ["returned", 2.5],
  ["completed", 0],
] as const)("of a payment that is %s, %d is lost", (status, lost) => {
  expect(lostAmount({ status, amount_refunded: 2.5 } as Payment)).toBe(lost);
});
