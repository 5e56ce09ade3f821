import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { act, cleanup, renderHook, waitFor } from "@testing-library/react";
import type { FormEvent, ReactNode } from "react";
import { afterEach, describe, expect, it, vi } from "vitest";
import { ApiError } from "../../api/api-error";
import { useIdempotentForm } from "./idempotent-form";

type Values = { amount: string };
type Send = (values: Values, key: string) => Promise<string>;

afterEach(() => {
  cleanup();
  sessionStorage.clear();
});

/** The form on a page that was just loaded. */
function load(send: Send, name = "payment") {
  const client = new QueryClient({ defaultOptions: { mutations: { retry: false } } });
  const wrapper = ({ children }: { children: ReactNode }) => (
    <QueryClientProvider client={client}>{children}</QueryClientProvider>
  );
  return renderHook(
    () =>
      useIdempotentForm({
        name,
        initialValues: { amount: "" },
        validate: () => ({}),
        send,
        onSuccess: () => undefined,
      }),
    { wrapper },
  ).result;
}

const submit = (form: ReturnType<typeof load>) =>
  act(async () => form.current.submit({ preventDefault: () => undefined } as FormEvent));

describe("useIdempotentForm", () => {
  it("comes back with its key after a reload whose answer was lost", async () => {
    const lost = vi.fn<Send>(() => new Promise(() => undefined));
    const before = load(lost);
    act(() => before.current.change({ amount: "12.50" }));
    await submit(before);
    cleanup();

    const again = vi.fn<Send>(async () => "created");
    const after = load(again);
    expect(after.current.values).toEqual({ amount: "12.50" });
    expect(after.current.isUnanswered).toBe(true);
    await submit(after);
    await waitFor(() => expect(again).toHaveBeenCalledOnce());
    expect(again.mock.calls[0]).toEqual(lost.mock.calls[0]);
    cleanup();
    expect(load(again).current.isUnanswered).toBe(false);
  });

  it.each([
    ["no answer", ApiError.unreachable(), true],
    ["a 503", new ApiError({ status: 503, code: "unavailable", title: "Unavailable" }), true],
    ["a 400", new ApiError({ status: 400, code: "validation_failed", title: "Invalid" }), false],
  ])("after %s keeps its key only if something may have been created", async (_, error, kept) => {
    const form = load(async () => {
      throw error;
    });
    await submit(form);
    await waitFor(() => expect(form.current.isPending).toBe(false));
    cleanup();
    expect(load(async () => "created").current.isUnanswered).toBe(kept);
  });

  it("has another key once the viewer asks for a different one", async () => {
    const lost = vi.fn<Send>(() => new Promise(() => undefined));
    await submit(load(lost));
    cleanup();
    const after = load(lost);
    act(() => after.current.renewKey());
    expect(after.current.isUnanswered).toBe(false);
    cleanup();
    expect(load(lost).current.isUnanswered).toBe(false);
    expect(load(lost, "refund").current.isUnanswered).toBe(false);
  });
});
