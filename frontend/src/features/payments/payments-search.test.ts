import { expect, test } from "vitest";
import { parsePaymentsSearch, toApiQuery } from "./payments-search";

test("an address says what is listed", () => {
  const said = { status: "failed", type: "eft", currency: "CAD", from: "2026-11-01", cursor: "c" };
  expect(parsePaymentsSearch(said)).toEqual(said);
});

test("what means nothing in an address is left out", () => {
  expect(parsePaymentsSearch({ from: "2026-02-31", to: "2026-13-01", status: 1 })).toEqual({});
  expect(
    parsePaymentsSearch({
      status: "lost",
      type: 7,
      currency: "EUR",
      from: "yesterday",
      to: "",
      cursor: "",
    }),
  ).toEqual({});
});

test("days are the viewer's, from their first moment to their last", () => {
  const query = toApiQuery({ from: "2026-11-01", to: "2026-11-02" });
  expect(new Date(query.created_from ?? "").getTime()).toBe(new Date(2026, 10, 1).getTime());
  expect(query.created_to).toBe(
    new Date(2026, 10, 2, 23, 59, 59, 999).toISOString().replace("Z", "999Z"),
  );
});
