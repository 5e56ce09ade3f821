import { keepPreviousData, queryOptions } from "@tanstack/react-query";
import { api, everyPage, type Payment, unwrap } from "../../api/client";
import { pollEvery } from "../../api/retry";
import type { components, paths } from "../../api/schema";
import { type PaymentsSearch, toApiQuery } from "./payments-search";
import type { RefundsSearch } from "./refunds-search";

export const PAGE_SIZE = 20;
const LIST_POLL_MS = 4_000;
const FIRST_POLL_MS = 1_000;
const LATER_POLL_MS = 5_000;
const SETTLED_POLL_MS = 2_000;
const FIRST_POLLS = 20;

export const paymentsQuery = (search: PaymentsSearch) =>
  queryOptions({
    queryKey: ["payments", "list", search],
    queryFn: ({ signal }) => fetchPayments(search, PAGE_SIZE, signal),
    placeholderData: keepPreviousData,
    refetchInterval: pollEvery(LIST_POLL_MS),
  });

/**
 * One payment, polled until it settles: every second at first, then less often.
 *
 * With `pollSettled`, polling goes on after that: a colleague may refund the payment, or a bank
 * return it.
 */
export const paymentQuery = (id: string, pollSettled = false) =>
  queryOptions({
    queryKey: ["payments", "one", id],
    queryFn: ({ signal }) =>
      unwrap(
        api.GET("/v1/payments/{payment_id}", { params: { path: { payment_id: id } }, signal }),
      ),
    refetchInterval: ({ state }) => {
      if (state.data && state.data.status !== "processing") {
        return pollSettled && pollEvery(SETTLED_POLL_MS)({ state });
      }
      const isNew = state.dataUpdateCount < FIRST_POLLS;
      return pollEvery(isNew ? FIRST_POLL_MS : LATER_POLL_MS)({ state });
    },
  });

/** The events of a payment, fetched again whenever the payment changes. */
export const paymentEventsQuery = ({ id, updated_at }: Payment) =>
  queryOptions({
    queryKey: ["payments", "events", id, updated_at],
    queryFn: ({ signal }) =>
      everyPage(async (query) => {
        const page = await unwrap(
          api.GET("/v1/payments/{payment_id}/events", {
            params: { path: { payment_id: id }, query },
            signal,
          }),
        );
        return { rows: page.events, next_cursor: page.next_cursor };
      }),
    placeholderData: keepPreviousData,
    staleTime: Number.POSITIVE_INFINITY,
  });

/**
 * The refunds of a payment, fetched again whenever the payment changes.
 *
 * While one is processing they are polled: a new `expected_at` does not change the payment.
 */
export const paymentRefundsQuery = ({ id, updated_at }: Payment) =>
  queryOptions({
    queryKey: ["payments", "refunds", id, updated_at],
    queryFn: ({ signal }) =>
      everyPage(async (query) => {
        const page = await unwrap(
          api.GET("/v1/payments/{payment_id}/refunds", {
            params: { path: { payment_id: id }, query },
            signal,
          }),
        );
        return { rows: page.refunds, next_cursor: page.next_cursor };
      }),
    placeholderData: keepPreviousData,
    refetchInterval: ({ state }) =>
      hasProcessing(state.data) && pollEvery(SETTLED_POLL_MS)({ state }),
    staleTime: Number.POSITIVE_INFINITY,
  });

/** One page of the refunds of all payments, polled while it shows one that is processing. */
export const refundsQuery = ({ status, cursor }: RefundsSearch) =>
  queryOptions({
    queryKey: ["refunds", status, cursor],
    queryFn: ({ signal }) =>
      unwrap(
        api.GET("/v1/refunds", {
          params: {
            query: { limit: PAGE_SIZE, ...(status && { status }), ...(cursor && { cursor }) },
          },
          signal,
        }),
      ),
    placeholderData: keepPreviousData,
    refetchInterval: ({ state }) =>
      hasProcessing(state.data?.refunds) && pollEvery(LIST_POLL_MS)({ state }),
  });

const hasProcessing = (refunds: readonly { status: string }[] = []) =>
  refunds.some(({ status }) => status === "processing");

const MAX_EMPTY_PAGES = 20;

/**
 * Fetch one page. With a rare filter a page of the API may be empty and still have a next one: then
 * it is the next one, and after many of them an empty page that the viewer can go on from.
 */
export async function fetchPayments(search: PaymentsSearch, limit: number, signal: AbortSignal) {
  const { find, cursor } = search;
  if (!find) return fetchPage({ ...toApiQuery(search), limit }, signal);
  // A key has one page: whoever asks for the next one is looking at a merchant's payments.
  if (!cursor && IDEMPOTENCY_KEY.test(find)) {
    const query = { ...toApiQuery(search), limit, idempotency_key: find };
    const page = await fetchPage(query, signal);
    if (page.payments.length > 0) return page;
  }
  return fetchPage({ ...toApiQuery(search), limit, merchant: find }, signal);
}

const IDEMPOTENCY_KEY = /^[ -~]{8,128}$/;

async function fetchPage(
  first: NonNullable<paths["/v1/payments"]["get"]["parameters"]["query"]>,
  signal: AbortSignal,
) {
  for (let query = first, left = MAX_EMPTY_PAGES; ; left--) {
    const page = await unwrap(api.GET("/v1/payments", { params: { query }, signal }));
    if (page.payments.length > 0 || page.next_cursor === null || left === 0) return page;
    query = { ...query, cursor: page.next_cursor };
  }
}

export const createPayment = (body: components["schemas"]["CreatePayment"]) =>
  unwrap(api.POST("/v1/payments", { body, params: {} }));

export const cancelPayment = (id: string) =>
  unwrap(api.POST("/v1/payments/{payment_id}/cancel", { params: { path: { payment_id: id } } }));

export const createRefund = (id: string, body: components["schemas"]["CreateRefund"]) =>
  unwrap(
    api.POST("/v1/payments/{payment_id}/refunds", { params: { path: { payment_id: id } }, body }),
  );
