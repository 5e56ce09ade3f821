import { describe, expect, it } from "vitest";
import { csvLayout } from "./csv-layout";

describe("csvLayout", () => {
  it("is what spreadsheets of the viewer's locale read", () => {
    expect(csvLayout("en-CA")).toMatchObject({ separator: ",", decimal_sign: "." });
    expect(csvLayout("fr-CA")).toMatchObject({ separator: ";", decimal_sign: "," });
  });

  it("names the viewer's time zone", () => {
    expect(csvLayout().time_zone).toMatch(/^(UTC|[A-Z]\w+\/\w+)/);
  });
});
