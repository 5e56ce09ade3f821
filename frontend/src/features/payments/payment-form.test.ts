import { describe, expect, it } from "vitest";
import { EMPTY, paymentFieldErrors, toPaymentRequest } from "./payment-form";

const VALID = { ...EMPTY, merchant: "Rideau Bakery", amount: "12.50" };
const entry = (key: string, id = 1) => ({ id, key, value: "v" });

describe("paymentFieldErrors", () => {
  it("finds nothing wrong with a valid form", () => {
    expect(paymentFieldErrors(VALID)).toEqual({});
  });

  it.each([
    [{ merchant: "  " }, "merchant"],
    [{ merchant: "x".repeat(256) }, "merchant"],
    [{ amount: "" }, "amount"],
    [{ amount: "1,000" }, "amount"],
    [{ amount: "1e3" }, "amount"],
    [{ amount: "-1" }, "amount"],
    [{ amount: "0.00" }, "amount"],
    [{ amount: "0.001" }, "amount"],
    [{ amount: "1000000.01" }, "amount"],
    [{ description: "x".repeat(501) }, "description"],
    [{ metadata: [entry("")] }, "metadata"],
    [{ metadata: [entry("a"), entry("a", 2)] }, "metadata"],
  ])("rejects %j at the field %s", (change, field) => {
    expect(Object.keys(paymentFieldErrors({ ...VALID, ...change }))).toEqual([field]);
  });

  it("counts characters as the API does", () => {
    expect(paymentFieldErrors({ ...VALID, merchant: "\u{1F600}".repeat(255) })).toEqual({});
  });
});

it("toPaymentRequest sends the amount as typed, never as a float", () => {
  const values = { ...VALID, amount: " 999999.99 ", metadata: [entry("order")] };
  const request = toPaymentRequest(values, "k");
  expect(request.amount).toBe("999999.99");
  expect(request.metadata).toEqual({ order: "v" });
  expect(request.description).toBeNull();
});
