import { describe, expect, it } from "vitest";
import { contentsLabel, failureLabel, rowsLabel, sizeLabel } from "./labels";
import type { Export } from "./queries";

const EXPORT = {
  resource: "payments",
  filters: { status: null, type: null, currency: null, created_from: null, created_to: null },
  layout: { format: "csv" },
  failure_reason: null,
} as unknown as Export;

describe("labels of an export", () => {
  it("say what is in it", () => {
    expect(contentsLabel(EXPORT)).toBe("All payments · CSV");
    const filtered = {
      ...EXPORT,
      filters: { ...EXPORT.filters, status: "completed", currency: "CAD" },
      layout: { ...EXPORT.layout, format: "json_lines" },
    } as Export;
    expect(contentsLabel(filtered)).toBe("Payments: completed, CAD · JSON Lines");
    const found = { ...EXPORT, filters: { ...EXPORT.filters, merchant: "Northern Lights" } };
    expect(contentsLabel(found as Export)).toBe("Payments: Northern Lights · CSV");
    const refunds = { ...EXPORT, resource: "refunds", filters: { status: "failed" } } as Export;
    expect(contentsLabel(refunds)).toBe("Refunds: failed · CSV");
  });

  it("say how much it is", () => {
    expect([0, 1, 1234].map(rowsLabel)).toEqual(["0 rows", "1 row", "1,234 rows"]);
    expect([999, 1500, 250_000, 2_500_000, 120e6].map(sizeLabel)).toEqual([
      "999 B",
      "1.5 KB",
      "250 KB",
      "2.5 MB",
      "120 MB",
    ]);
  });

  it("say why it failed", () => {
    expect(failureLabel({ ...EXPORT, failure_reason: "too_large" })).toContain("shorter");
    expect(failureLabel(EXPORT)).toBe("");
  });
});
