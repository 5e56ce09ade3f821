import { expect, test } from "vitest";
import { toldBy } from "./idempotent-form";
import { EMPTY, fieldErrors, toPaymentRequest } from "./payment-form";

const GOOD = { ...EMPTY, merchant: "Rideau Bakery", amount: "12.50" };
const pair = (name: string, id = 1) => ({ id, name, value: "v" });

test("a good wish has no fault", () => {
  expect(fieldErrors(GOOD)).toEqual({});
});

test.each([
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
  [{ metadata: [pair("")] }, "metadata"],
  [{ metadata: [pair("a"), pair("a", 2)] }, "metadata"],
])("%j is at fault in %s", (part, field) => {
  expect(Object.keys(fieldErrors({ ...GOOD, ...part }))).toEqual([field]);
});

test("the amount is sent as it was typed, never as a float", () => {
  const sent = toPaymentRequest({ ...GOOD, amount: " 999999.99 ", metadata: [pair("order")] }, "k");
  expect(sent.amount).toBe("999999.99");
  expect(sent.metadata).toEqual({ order: "v" });
  expect(sent.description).toBeNull();
});

test("characters are counted as the API counts them", () => {
  expect(fieldErrors({ ...GOOD, merchant: "\u{1F600}".repeat(255) })).toEqual({});
});

test("what the API says of a part is said at its field, and of no field, beside them", () => {
  expect(toldBy([{ field: "metadata.simulate", message: "must not be sent here" }], EMPTY)).toEqual(
    {
      told: { metadata: "simulate must not be sent here" },
      rest: false,
    },
  );
  expect(toldBy([{ field: "idempotency_key", message: "is required" }], EMPTY).rest).toBe(true);
  expect(toldBy([], EMPTY).rest).toBe(true);
});
