import { infiniteQueryOptions, queryOptions } from "@tanstack/react-query";
import { api, everyPage, unwrap } from "../../api/client";
import { pollEvery } from "../../api/retry";
import type { components } from "../../api/schema";

export type Endpoint = components["schemas"]["Endpoint"];
export type NewEndpoint = components["schemas"]["NewEndpoint"];
export type Delivery = components["schemas"]["Delivery"];
export type DeliveryStatus = components["schemas"]["DeliveryStatus"];
export type Subscription = components["schemas"]["Subscription"];

const ENDPOINTS_POLL_MS = 15_000;
const DELIVERIES_POLL_MS = 5_000;

/** The prefix of every query key of this feature. */
export const WEBHOOKS_KEY = ["webhooks"] as const;

export const endpointsQuery = queryOptions({
  queryKey: [...WEBHOOKS_KEY, "endpoints"],
  queryFn: ({ signal }) => unwrap(api.GET("/v1/webhook_endpoints", { signal })),
  refetchInterval: pollEvery(ENDPOINTS_POLL_MS),
});

/** The deliveries of an endpoint, page by page, newest first. */
export const endpointDeliveriesQuery = (id: string, status?: DeliveryStatus) =>
  infiniteQueryOptions({
    queryKey: [...WEBHOOKS_KEY, "deliveries", id, status],
    queryFn: ({ pageParam, signal }) =>
      unwrap(
        api.GET("/v1/webhook_endpoints/{endpoint_id}/deliveries", {
          params: {
            path: { endpoint_id: id },
            query: { ...(status && { status }), ...(pageParam && { cursor: pageParam }) },
          },
          signal,
        }),
      ),
    initialPageParam: "",
    getNextPageParam: (page) => page.next_cursor,
    refetchInterval: pollEvery(DELIVERIES_POLL_MS),
  });

/** The deliveries of a payment's events. */
export const paymentDeliveriesQuery = (id: string) =>
  queryOptions({
    queryKey: [...WEBHOOKS_KEY, "payment", id],
    queryFn: ({ signal }) =>
      everyPage(async (query) => {
        const page = await unwrap(
          api.GET("/v1/payments/{payment_id}/deliveries", {
            params: { path: { payment_id: id }, query },
            signal,
          }),
        );
        return { rows: page.deliveries, next_cursor: page.next_cursor };
      }),
    refetchInterval: pollEvery(DELIVERIES_POLL_MS),
  });

export type EndpointFormValues = { url: string; description: string; events: Subscription[] };

const toEndpointRequest = ({ url, description, events }: EndpointFormValues) => ({
  url: url.trim(),
  description: description.trim() || null,
  events,
});

export const createEndpoint = (values: EndpointFormValues) =>
  unwrap(
    api.POST("/v1/webhook_endpoints", { body: toEndpointRequest(values) }),
  ) as Promise<NewEndpoint>; // without an idempotency key no answer is a repeated one

const endpointPath = (id: string) => ({ params: { path: { endpoint_id: id } } });

export const updateEndpoint = (id: string, values: EndpointFormValues) =>
  unwrap(
    api.PATCH("/v1/webhook_endpoints/{endpoint_id}", {
      ...endpointPath(id),
      body: toEndpointRequest(values),
    }),
  );

export const setEndpointEnabled = (id: string, enabled: boolean) =>
  unwrap(
    api.PATCH("/v1/webhook_endpoints/{endpoint_id}", { ...endpointPath(id), body: { enabled } }),
  );

export const deleteEndpoint = (id: string) =>
  unwrap(api.DELETE("/v1/webhook_endpoints/{endpoint_id}", endpointPath(id)));

export const rotateSecret = (id: string) =>
  unwrap(api.POST("/v1/webhook_endpoints/{endpoint_id}/rotate_secret", endpointPath(id)));

export const sendTestEvent = (id: string) =>
  unwrap(api.POST("/v1/webhook_endpoints/{endpoint_id}/test", endpointPath(id)));

export const replayDelivery = (id: string) =>
  unwrap(
    api.POST("/v1/deliveries/{delivery_id}/replay", { params: { path: { delivery_id: id } } }),
  );

/** Replay every delivery that failed since then, in as many requests as it takes. Returns the count. */
export async function replayFailedDeliveries(id: string, since: string): Promise<number> {
  let count = 0;
  let from: string | null = since;
  while (from) {
    const batch: components["schemas"]["Replayed"] = await unwrap(
      api.POST("/v1/webhook_endpoints/{endpoint_id}/replay_failed", {
        ...endpointPath(id),
        body: { since: from },
      }),
    );
    count += batch.replayed;
    from = batch.next_since;
  }
  return count;
}
