import { expect, it } from "vitest";
import { lastDays, parseOverviewSearch } from "./overview-search";

it("parseOverviewSearch falls back to the default range", () => {
  expect(parseOverviewSearch({ days: 7 })).toEqual({ days: 7 });
  expect(parseOverviewSearch({ days: 30 })).toEqual({});
  expect(parseOverviewSearch({ days: "a lot" })).toEqual({});
});

it("lastDays counts UTC days, including today", () => {
  expect(lastDays(7, new Date("2026-11-22T23:59:59Z"))).toEqual({
    from: "2026-11-16",
    to: "2026-11-22",
  });
});
