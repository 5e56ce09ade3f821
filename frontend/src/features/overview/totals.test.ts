import { describe, expect, it } from "vitest";
import { lastDays, parseOverviewSearch } from "./overview-search";
import { dailyTotals, daysBetween, parts, rate, summary, type Total } from "./totals";

const total = (part: Partial<Total>): Total => ({
  day: "2026-11-22",
  currency: "CAD",
  type: "eft",
  status: "completed",
  count: 1,
  volume: 10,
  ...part,
});

describe("summary", () => {
  it("never adds two currencies", () => {
    const rows = [total({ volume: 0.1 }), total({ currency: "USD", volume: 7 })];
    expect(summary(rows).volume).toEqual({ CAD: 0.1, USD: 7 });
  });

  it("adds amounts exactly", () => {
    const rows = Array.from({ length: 10 }, () => total({ volume: 0.1 }));
    expect(summary(rows).volume).toEqual({ CAD: 1 });
  });

  it("counts as volume what was completed only", () => {
    const rows = [total({}), total({ status: "failed", volume: 99 })];
    expect(summary(rows).volume).toEqual({ CAD: 10 });
  });

  it("rates what a bank decided, and leaves out what was canceled", () => {
    const rows = [
      total({ count: 3 }),
      total({ status: "failed", count: 1 }),
      total({ status: "canceled", count: 96 }),
    ];
    expect(summary(rows)).toMatchObject({ settled: 100, successRate: 0.75 });
  });

  it("has no rate where nothing was decided", () => {
    expect(summary([]).successRate).toBeUndefined();
    expect(summary([total({ status: "canceled" })]).successRate).toBeUndefined();
  });
});

describe("dailyTotals", () => {
  const range = { from: "2026-11-21", to: "2026-11-23" };

  it("shows every day of the range, those without a payment too", () => {
    const days = dailyTotals({ ...range, rows: [total({ count: 4 })] }, "count");
    expect(days.map(({ day, completed }) => [day, completed])).toEqual([
      ["2026-11-21", 0],
      ["2026-11-22", 4],
      ["2026-11-23", 0],
    ]);
  });

  it("measures one currency and leaves the other out", () => {
    const rows = [
      total({ volume: 0.1 }),
      total({ volume: 0.2 }),
      total({ currency: "USD", volume: 5 }),
      total({ status: "failed", volume: 3 }),
    ];
    const [, day] = dailyTotals({ ...range, rows }, "CAD");
    expect(day).toEqual({
      day: "2026-11-22",
      completed: 0.3,
      returned: 0,
      failed: 3,
      canceled: 0,
    });
  });
});

it("days go on over the end of a month and a year", () => {
  expect(daysBetween("2026-12-31", "2027-01-01")).toEqual(["2026-12-31", "2027-01-01"]);
});

it("each type in each currency is a part of its own", () => {
  const rows = [total({}), total({ type: "wire", currency: "USD" }), total({ status: "failed" })];
  expect(
    parts(rows).map(({ type, currency, summary: { settled } }) => [type, currency, settled]),
  ).toEqual([
    ["wire", "USD", 1],
    ["eft", "CAD", 2],
  ]);
});

it("the last days are UTC's, today included", () => {
  expect(lastDays(7, new Date("2026-11-22T23:59:59Z"))).toEqual({
    from: "2026-11-16",
    to: "2026-11-22",
  });
});

it("a range that is not offered is the usual one", () => {
  expect(parseOverviewSearch({ days: 7 })).toEqual({ days: 7 });
  expect(parseOverviewSearch({ days: 30 })).toEqual({});
  expect(parseOverviewSearch({ days: "a lot" })).toEqual({});
});

it("a rate is all or nothing only when it is", () => {
  expect(rate(undefined)).toBe("–");
  expect(rate(1)).toBe("100.0%");
  expect(rate(0.9999999)).toBe(">99.9%");
  expect(rate(0.848)).toBe("84.8%");
  expect(rate(0.00001)).toBe("<0.1%");
  expect(rate(0)).toBe("0.0%");
});
