import { describe, expect, it } from "vitest";
import { breakdown, dailyTotals, daysBetween, formatRate, summarize, type Total } from "./totals";

const total = (part: Partial<Total>): Total => ({
  day: "2026-11-22",
  currency: "CAD",
  type: "eft",
  status: "completed",
  count: 1,
  volume: 10,
  ...part,
});

describe("summarize", () => {
  it("never adds two currencies", () => {
    const rows = [total({ volume: 0.1 }), total({ currency: "USD", volume: 7 })];
    expect(summarize(rows).volume).toEqual({ CAD: 0.1, USD: 7 });
  });

  it("adds amounts exactly", () => {
    const rows = Array.from({ length: 10 }, () => total({ volume: 0.1 }));
    expect(summarize(rows).volume).toEqual({ CAD: 1 });
  });

  it("counts only completed payments as volume", () => {
    const rows = [total({}), total({ status: "failed", volume: 99 })];
    expect(summarize(rows).volume).toEqual({ CAD: 10 });
  });

  it("leaves canceled payments out of the success rate", () => {
    const rows = [
      total({ count: 3 }),
      total({ status: "failed", count: 1 }),
      total({ status: "canceled", count: 96 }),
    ];
    expect(summarize(rows)).toMatchObject({ settled: 100, successRate: 0.75 });
  });

  it("has no success rate without completed, failed or returned payments", () => {
    expect(summarize([]).successRate).toBeUndefined();
    expect(summarize([total({ status: "canceled" })]).successRate).toBeUndefined();
  });
});

describe("dailyTotals", () => {
  const range = { from: "2026-11-21", to: "2026-11-23" };

  it("includes days without payments", () => {
    const days = dailyTotals({ ...range, rows: [total({ count: 4 })] }, "count");
    expect(days.map(({ day, completed }) => [day, completed])).toEqual([
      ["2026-11-21", 0],
      ["2026-11-22", 4],
      ["2026-11-23", 0],
    ]);
  });

  it("adds the volume of one currency only", () => {
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

it("daysBetween crosses the end of a month and of a year", () => {
  expect(daysBetween("2026-12-31", "2027-01-01")).toEqual(["2026-12-31", "2027-01-01"]);
});

it("breakdown has one row for each type and currency", () => {
  const rows = [total({}), total({ type: "wire", currency: "USD" }), total({ status: "failed" })];
  expect(
    breakdown(rows).map(({ type, currency, summary: { settled } }) => [type, currency, settled]),
  ).toEqual([
    ["wire", "USD", 1],
    ["eft", "CAD", 2],
  ]);
});

it.each([
  [undefined, "–"],
  [1, "100.0%"],
  [0.9999999, ">99.9%"],
  [0.848, "84.8%"],
  [0.00001, "<0.1%"],
  [0, "0.0%"],
])("formatRate shows %s as %s", (rate, text) => {
  expect(formatRate(rate)).toBe(text);
});
