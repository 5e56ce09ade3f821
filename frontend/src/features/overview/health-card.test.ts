import { describe, expect, it } from "vitest";
import { ApiError } from "../../api/api-error";
import { healthStatus } from "./health-card";

const unavailable = new ApiError({ status: 503, code: "unavailable", title: "Unavailable" });

describe("healthStatus", () => {
  it("is checking until the first response", () => {
    expect(healthStatus(null, false)).toEqual({ api: "checking", backend: "checking" });
  });

  it("is operational after a success", () => {
    expect(healthStatus(null, true)).toEqual({ api: "operational", backend: "operational" });
  });

  it("blames the backend for a 503 of the API, even after a success", () => {
    expect(healthStatus(unavailable, true)).toEqual({ api: "operational", backend: "unavailable" });
  });

  it("knows nothing of the backend when the API is unreachable", () => {
    const unreachable = { api: "unreachable", backend: "unknown" };
    expect(healthStatus(ApiError.unreachable(), true)).toEqual(unreachable);
    expect(healthStatus(ApiError.unexpectedResponse(502), true)).toEqual(unreachable);
  });
});
