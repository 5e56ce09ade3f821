import { keepPreviousData, type QueryClient, queryOptions } from "@tanstack/react-query";
import { api, type Payment, unwrap } from "../../api/client";
import { pollEvery } from "../../api/retry";
import { type PaymentsSearch, toApiQuery } from "./payments-search";

export const PAGE_SIZE = 20;
const LIST_MS = 4_000;
const SOON_MS = 1_000;
const WATCH_MS = 2_000;
const LATER_MS = 5_000;

export const paymentsQuery = (search: PaymentsSearch) =>
  queryOptions({
    queryKey: ["payments", "list", search],
    queryFn: ({ signal }) => page(search, PAGE_SIZE, signal),
    placeholderData: keepPreviousData,
    refetchInterval: pollEvery(LIST_MS),
  });

/**
 * One payment, asked for again and again until it is settled: every second at first. One that is
 * `watched` is looked at after its end too: a colleague may refund it, a bank return it.
 */
export const paymentQuery = (id: string, watched = false) =>
  queryOptions({
    queryKey: ["payments", "one", id],
    queryFn: ({ signal }) =>
      unwrap(
        api.GET("/v1/payments/{payment_id}", { params: { path: { payment_id: id } }, signal }),
      ),
    refetchInterval: ({ state }) => {
      if (state.data && state.data.status !== "processing") {
        return watched && pollEvery(WATCH_MS)({ state });
      }
      return pollEvery(state.dataUpdateCount < 20 ? SOON_MS : LATER_MS)({ state });
    },
  });

/** Its story, told anew whenever it has changed. */
export const paymentEventsQuery = ({ id, updated_at }: Payment) =>
  queryOptions({
    queryKey: ["payments", "events", id, updated_at],
    queryFn: ({ signal }) =>
      unwrap(
        api.GET("/v1/payments/{payment_id}/events", {
          params: { path: { payment_id: id } },
          signal,
        }),
      ),
    placeholderData: keepPreviousData,
    staleTime: Number.POSITIVE_INFINITY,
  });

/** Its refunds, told anew whenever it has changed. */
export const paymentRefundsQuery = ({ id, updated_at }: Payment) =>
  queryOptions({
    queryKey: ["payments", "refunds", id, updated_at],
    queryFn: ({ signal }) =>
      unwrap(
        api.GET("/v1/payments/{payment_id}/refunds", {
          params: { path: { payment_id: id } },
          signal,
        }),
      ),
    placeholderData: keepPreviousData,
    staleTime: Number.POSITIVE_INFINITY,
  });

/** After something was done to it: ask anew what it is. */
export const invalidatePayment = (client: QueryClient, id: string) =>
  client.invalidateQueries({ queryKey: paymentQuery(id).queryKey });

export function page(search: PaymentsSearch, limit: number, signal?: AbortSignal) {
  const query = { ...toApiQuery(search), limit };
  return unwrap(api.GET("/v1/payments", { params: { query }, ...(signal && { signal }) }));
}
