import { describe, expect, it } from "vitest";
import { parsePaymentsSearch, toApiQuery } from "./payments-search";

describe("parsePaymentsSearch", () => {
  it("keeps valid values", () => {
    const params = {
      status: "failed",
      type: "eft",
      currency: "CAD",
      from: "2026-11-01",
      find: "Northern Lights",
      cursor: "c",
    };
    expect(parsePaymentsSearch(params)).toEqual(params);
  });

  it.each([
    [{ from: "2026-02-31", to: "2026-13-01", status: 1 }],
    [
      {
        status: "lost",
        type: 7,
        currency: "EUR",
        from: "yesterday",
        to: "",
        find: " ",
        cursor: "",
      },
    ],
  ])("drops invalid values: %o", (params) => {
    expect(parsePaymentsSearch(params)).toEqual({});
  });
});

it("toApiQuery covers whole days in the viewer's time zone", () => {
  const query = toApiQuery({ from: "2026-11-01", to: "2026-11-02" });
  expect(new Date(query.created_from ?? "").getTime()).toBe(new Date(2026, 10, 1).getTime());
  expect(query.created_to).toBe(
    new Date(2026, 10, 2, 23, 59, 59, 999).toISOString().replace("Z", "999Z"),
  );
});
