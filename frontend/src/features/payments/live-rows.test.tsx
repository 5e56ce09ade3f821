import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { act, renderHook, waitFor } from "@testing-library/react";
import type { ReactNode } from "react";
import { afterEach, expect, test, vi } from "vitest";
import type { Payment } from "../../api/client";
import { useLiveRows } from "./live-rows";

const payment = (n: number, status: Payment["status"] = "completed") =>
  ({ id: `PAY-${n}`, created_at: `2026-11-24T00:00:0${n}.000000Z`, status }) as Payment;
const page = (...payments: Payment[]) => ({ payments, next_cursor: null, count: payments.length });

function rows(first: ReturnType<typeof page>) {
  const client = new QueryClient();
  const wrapper = ({ children }: { children: ReactNode }) => (
    <QueryClientProvider client={client}>{children}</QueryClientProvider>
  );
  return renderHook(({ fresh, place }) => useLiveRows(fresh, place), {
    initialProps: { fresh: first, place: "here" },
    wrapper,
  });
}

const ids = (shown: readonly Payment[]) => shown.map((one) => one.id);

afterEach(() => vi.unstubAllGlobals());

test("rows keep their places, and show their newest state", () => {
  const { result, rerender } = rows(page(payment(2, "processing"), payment(1)));
  rerender({ fresh: page(payment(3), payment(2, "completed"), payment(1)), place: "here" });
  expect(ids(result.current.rows)).toEqual(["PAY-2", "PAY-1"]);
  expect(result.current.rows[0]?.status).toBe("completed");
  expect(result.current.arrived).toBe(1);
});

test("what has arrived is shown when it is asked for", () => {
  const { result, rerender } = rows(page(payment(1)));
  rerender({ fresh: page(payment(2), payment(1)), place: "here" });
  act(() => {
    result.current.showArrived();
  });
  expect(ids(result.current.rows)).toEqual(["PAY-2", "PAY-1"]);
  expect(result.current.arrived).toBe(0);
});

test("what arrives where there was nothing is shown at once", () => {
  const { result, rerender } = rows(page());
  rerender({ fresh: page(payment(1)), place: "here" });
  expect(ids(result.current.rows)).toEqual(["PAY-1"]);
  expect(result.current.arrived).toBe(0);
});

test("a row that has left the page is followed by itself", async () => {
  vi.stubGlobal(
    "fetch",
    vi.fn(async () => Response.json(payment(2, "failed"))),
  );
  const { result, rerender } = rows(page(payment(2, "processing")));
  rerender({ fresh: page(), place: "here" });
  await waitFor(() => expect(result.current.rows[0]?.status).toBe("failed"));
});

test("another place has its own rows", () => {
  const { result, rerender } = rows(page(payment(1)));
  rerender({ fresh: page(payment(3)), place: "there" });
  expect(ids(result.current.rows)).toEqual(["PAY-3"]);
});
