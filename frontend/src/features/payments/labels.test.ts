import { expect, it } from "vitest";
import type { Payment } from "../../api/client";
import { failureCode, failureMessage } from "./labels";

it("explains a return by what the bank's code means", () => {
  const returned = { failure_code: "R16", return_reason: "account_frozen" } as Payment;
  expect(failureCode(returned)).toBe("account_frozen");
  expect(failureMessage("account_frozen")).toContain("frozen");
  const failed = { failure_code: "insufficient_funds", return_reason: null } as Payment;
  expect(failureCode(failed)).toBe("insufficient_funds");
});
