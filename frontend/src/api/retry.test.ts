import { describe, expect, it, vi } from "vitest";
import { ApiError } from "./api-error";
import { pollEvery, retryDelayMs, shouldRetry, withRetry } from "./retry";

const apiError = (status: number, retryAfterMs?: number) =>
  new ApiError({ status, code: "any", title: "Any", retryAfterMs });

describe("shouldRetry", () => {
  it.each([0, 200, 429, 500, 503])("retries status %i", (status) => {
    expect(shouldRetry(0, apiError(status))).toBe(true);
  });

  it.each([400, 401, 403, 404])("does not retry status %i", (status) => {
    expect(shouldRetry(0, apiError(status))).toBe(false);
  });

  it("does not retry a bug", () => {
    expect(shouldRetry(0, new TypeError("a bug"))).toBe(false);
  });

  it("stops after two retries", () => {
    expect(shouldRetry(2, apiError(503))).toBe(false);
  });

  it("shows the error at once when the API asks for a long wait", () => {
    expect(shouldRetry(0, apiError(503, 30_000))).toBe(false);
  });
});

it("retryDelayMs honours Retry-After", () => {
  expect(retryDelayMs(0, apiError(503, 2_000))).toBe(2_000);
});

describe("pollEvery", () => {
  const nextPoll = (error: Error | null) => pollEvery(4_000)({ state: { error } });

  it("polls on after a success or a transient error", () => {
    expect(nextPoll(null)).toBe(4_000);
    expect(nextPoll(apiError(0))).toBe(4_000);
  });

  it("honours Retry-After, but never polls more often", () => {
    expect(nextPoll(apiError(429, 30_000))).toBe(30_000);
    expect(nextPoll(apiError(503, 1_000))).toBe(4_000);
  });

  it("stops at an error that is not transient", () => {
    expect(nextPoll(apiError(404))).toBe(false);
  });
});

it("withRetry retries transient errors, and stops when it is aborted", async () => {
  const send = vi.fn(async () => "page");
  send.mockRejectedValueOnce(apiError(503, 1));
  const abort = new AbortController();
  expect(await withRetry(send, abort.signal)).toBe("page");
  send.mockRejectedValueOnce(apiError(503, 1));
  abort.abort();
  await expect(withRetry(send, abort.signal)).rejects.toThrow();
});
