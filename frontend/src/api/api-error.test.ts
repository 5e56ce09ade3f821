import { describe, expect, it } from "vitest";
import { ApiError, splitFieldErrors } from "./api-error";

const FORM = { amount: "", metadata: [] };
const invalid = (...errors: { field: string; message: string }[]) =>
  new ApiError({ status: 400, code: "validation_failed", title: "Validation failed", errors });

describe("splitFieldErrors", () => {
  it("shows an error inside a field at that field", () => {
    const error = invalid({ field: "metadata.simulate", message: "not allowed" });
    expect(splitFieldErrors(error, FORM)).toEqual({
      fieldErrors: { metadata: "simulate not allowed" },
      other: null,
    });
  });

  it("keeps an error of a field that the form does not have", () => {
    const error = invalid({ field: "idempotency_key", message: "required" });
    expect(splitFieldErrors(error, FORM).other).toBe(error);
  });

  it("keeps an error that names no field", () => {
    const error = invalid();
    expect(splitFieldErrors(error, FORM)).toEqual({ fieldErrors: {}, other: error });
  });

  it("finds nothing when there is no error", () => {
    expect(splitFieldErrors(null, FORM)).toEqual({ fieldErrors: {}, other: null });
  });
});
