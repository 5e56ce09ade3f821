import { describe, expect, it, vi } from "vitest";
import { endOfDay, isValidDate, startOfDay } from "./dates";

it.each([
  ["Asia/Tokyo", "2026-11-24", "2026-11-23T15:00:00.000Z", "2026-11-24T14:59:59.999999Z"],
  ["America/Toronto", "2026-03-08", "2026-03-08T05:00:00.000Z", "2026-03-09T03:59:59.999999Z"],
  ["America/Toronto", "2026-11-01", "2026-11-01T04:00:00.000Z", "2026-11-02T04:59:59.999999Z"],
  // Clocks change at midnight: one day lacks its first hour, the other has its last hour twice.
  ["Africa/Cairo", "2025-04-25", "2025-04-24T22:00:00.000Z", "2025-04-25T20:59:59.999999Z"],
  ["Africa/Cairo", "2025-10-30", "2025-10-29T21:00:00.000Z", "2025-10-30T21:59:59.999999Z"],
])("in %s, %s covers the whole day", (zone, date, first, last) => {
  vi.stubEnv("TZ", zone);
  expect([startOfDay(date), endOfDay(date)]).toEqual([first, last]);
});

describe("isValidDate", () => {
  it("accepts a leap day", () => {
    expect(isValidDate("2028-02-29")).toBe(true);
  });

  it.each(["2026-02-29", "2026-13-01", "0002-11-24", "2026-11-4", "12026-11-24", ""])(
    "rejects %j",
    (text) => {
      expect(isValidDate(text)).toBe(false);
    },
  );
});
