import { keepPreviousData, queryOptions } from "@tanstack/react-query";
import { answer, api } from "../../api/client";
import { every } from "../../api/patience";
import { type ListSearch, listQuery } from "./list-search";

export const PAGE_SIZE = 20;
const LIST_MS = 4_000;
const SOON_MS = 1_000;
const LATER_MS = 5_000;

export const listOf = (search: ListSearch) =>
  queryOptions({
    queryKey: ["payments", "list", search],
    queryFn: ({ signal }) => page(search, PAGE_SIZE, signal),
    placeholderData: keepPreviousData,
    refetchInterval: every(LIST_MS),
  });

/** One payment, asked for again and again until it is settled: every second at first. */
export const paymentOf = (id: string) =>
  queryOptions({
    queryKey: ["payments", "one", id],
    queryFn: ({ signal }) =>
      answer(
        api.GET("/v1/payments/{payment_id}", { params: { path: { payment_id: id } }, signal }),
      ),
    refetchInterval: ({ state }) => {
      if (state.data && state.data.status !== "processing") return false;
      return every(state.dataUpdateCount < 20 ? SOON_MS : LATER_MS)({ state });
    },
  });

export function page(search: ListSearch, limit: number, signal?: AbortSignal) {
  const query = { ...listQuery(search), limit };
  return answer(api.GET("/v1/payments", { params: { query }, ...(signal && { signal }) }));
}
