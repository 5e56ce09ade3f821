import { expect, test, vi } from "vitest";
import { ApiError } from "./api-error";
import { pollEvery, retryDelayMs, shouldRetry, withRetry } from "./retry";

const problem = (status: number, retryAfterMs?: number) =>
  new ApiError({ status, code: "any", title: "Any", retryAfterMs });
const next = (error: Error | null) => pollEvery(4_000)({ state: { error } });

test("what may pass is tried again, what is refused is not", () => {
  for (const status of [0, 200, 429, 500, 503])
    expect(shouldRetry(0, problem(status)), `${status}`).toBe(true);
  for (const status of [400, 401, 403, 404]) expect(shouldRetry(0, problem(status))).toBe(false);
  expect(shouldRetry(0, new TypeError("a bug"))).toBe(false);
  expect(shouldRetry(2, problem(503))).toBe(false);
});

test("the API is not asked again before it wants to be", () => {
  expect(retryDelayMs(0, problem(503, 2_000))).toBe(2_000);
  expect(next(problem(429, 30_000))).toBe(30_000);
  expect(next(problem(503, 1_000))).toBe(4_000);
});

test("who has to wait for long is told so at once", () => {
  expect(shouldRetry(0, problem(503, 30_000))).toBe(false);
});

test("what is refused is not asked for again and again", () => {
  expect(next(problem(404))).toBe(false);
  expect(next(problem(0))).toBe(4_000);
  expect(next(null)).toBe(4_000);
});

test("a long work gets over what passes, and ends when it is stopped", async () => {
  const ask = vi.fn(async () => "page");
  ask.mockRejectedValueOnce(problem(503, 1));
  const stop = new AbortController();
  expect(await withRetry(ask, stop.signal)).toBe("page");
  ask.mockRejectedValueOnce(problem(503, 1));
  stop.abort();
  await expect(withRetry(ask, stop.signal)).rejects.toThrow();
});
