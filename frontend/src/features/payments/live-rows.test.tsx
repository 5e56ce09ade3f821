import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { act, renderHook, waitFor } from "@testing-library/react";
import type { ReactNode } from "react";
import { describe, expect, it, vi } from "vitest";
import type { Payment } from "../../api/client";
import { useLiveRows } from "./live-rows";

const payment = (n: number, status: Payment["status"] = "completed") =>
  ({ id: `PAY-${n}`, created_at: `2026-11-24T00:00:0${n}.000000Z`, status }) as Payment;
const page = (...payments: Payment[]) => ({ payments, next_cursor: null, count: payments.length });

function renderLiveRows(first: ReturnType<typeof page>) {
  const client = new QueryClient();
  const wrapper = ({ children }: { children: ReactNode }) => (
    <QueryClientProvider client={client}>{children}</QueryClientProvider>
  );
  const { result, rerender } = renderHook(({ page, listKey }) => useLiveRows(page, listKey), {
    initialProps: { page: first, listKey: "list" },
    wrapper,
  });
  return {
    result,
    poll: (next: ReturnType<typeof page>, listKey = "list") => rerender({ page: next, listKey }),
  };
}

const ids = (rows: readonly Payment[]) => rows.map(({ id }) => id);

describe("useLiveRows", () => {
  it("keeps rows in place and shows their latest state", () => {
    const { result, poll } = renderLiveRows(page(payment(2, "processing"), payment(1)));
    poll(page(payment(3), payment(2, "completed"), payment(1)));
    expect(ids(result.current.rows)).toEqual(["PAY-2", "PAY-1"]);
    expect(result.current.rows[0]?.status).toBe("completed");
    expect(result.current.newCount).toBe(1);
  });

  it("shows new payments on request", () => {
    const { result, poll } = renderLiveRows(page(payment(1)));
    poll(page(payment(2), payment(1)));
    act(() => {
      result.current.showNew();
    });
    expect(ids(result.current.rows)).toEqual(["PAY-2", "PAY-1"]);
    expect(result.current.newCount).toBe(0);
  });

  it("shows new payments at once in an empty list", () => {
    const { result, poll } = renderLiveRows(page());
    poll(page(payment(1)));
    expect(ids(result.current.rows)).toEqual(["PAY-1"]);
    expect(result.current.newCount).toBe(0);
  });

  it("polls a row that has left the page", async () => {
    vi.stubGlobal(
      "fetch",
      vi.fn(async () => Response.json(payment(2, "failed"))),
    );
    const { result, poll } = renderLiveRows(page(payment(2, "processing")));
    poll(page());
    await waitFor(() => expect(result.current.rows[0]?.status).toBe("failed"));
  });

  it("starts again with another list", () => {
    const { result, poll } = renderLiveRows(page(payment(1)));
    poll(page(payment(3)), "another list");
    expect(ids(result.current.rows)).toEqual(["PAY-3"]);
  });
});
