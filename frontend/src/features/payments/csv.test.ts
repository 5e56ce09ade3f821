import { describe, expect, test } from "vitest";
import { cell } from "./csv";

describe("a cell", () => {
  test.each([
    ["plain", "plain"],
    ["a, b", '"a, b"'],
    ['say "hi"', '"say ""hi"""'],
    ["two\nlines", '"two\nlines"'],
    [null, ""],
    [1250.75, "1250.75"],
    [40, "40.00"],
  ])("%j is written %j", (value, written) => {
    expect(cell(value)).toBe(written);
  });

  test.each(["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx"])("%j is no formula", (value) => {
    expect(cell(value).replace(/^"/, "").startsWith("'")).toBe(true);
  });
});
