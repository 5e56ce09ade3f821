import { infiniteQueryOptions, queryOptions } from "@tanstack/react-query";
import { api, unwrap } from "../../api/client";
import { pollEvery } from "../../api/retry";
import type { components } from "../../api/schema";

export type Endpoint = components["schemas"]["Endpoint"];
export type NewEndpoint = components["schemas"]["NewEndpoint"];
export type Delivery = components["schemas"]["Delivery"];
export type DeliveryStatus = components["schemas"]["DeliveryStatus"];
export type Subscription = components["schemas"]["Subscription"];

const ENDPOINTS_MS = 15_000;
const DELIVERIES_MS = 5_000;

export const WEBHOOKS = ["webhooks"] as const;

export const endpointsQuery = queryOptions({
  queryKey: [...WEBHOOKS, "endpoints"],
  queryFn: ({ signal }) => unwrap(api.GET("/v1/webhook_endpoints", { signal })),
  refetchInterval: pollEvery(ENDPOINTS_MS),
});

/** The deliveries to an endpoint, page after page, newest first. */
export const endpointDeliveriesQuery = (id: string, status?: DeliveryStatus) =>
  infiniteQueryOptions({
    queryKey: [...WEBHOOKS, "deliveries", id, status],
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
    refetchInterval: pollEvery(DELIVERIES_MS),
  });

/** The newest webhooks that tell of a payment. */
export const paymentDeliveriesQuery = (id: string) =>
  queryOptions({
    queryKey: [...WEBHOOKS, "payment", id],
    queryFn: ({ signal }) =>
      unwrap(
        api.GET("/v1/payments/{payment_id}/deliveries", {
          params: { path: { payment_id: id } },
          signal,
        }),
      ),
    refetchInterval: pollEvery(DELIVERIES_MS),
  });

export type EndpointFormValues = { url: string; description: string; events: Subscription[] };

const bodyOf = ({ url, description, events }: EndpointFormValues) => ({
  url: url.trim(),
  description: description.trim() || null,
  events,
});

export const createEndpoint = (wish: EndpointFormValues) =>
  unwrap(api.POST("/v1/webhook_endpoints", { body: bodyOf(wish) }));

const at = (id: string) => ({ params: { path: { endpoint_id: id } } });

export const updateEndpoint = (id: string, wish: EndpointFormValues) =>
  unwrap(api.PATCH("/v1/webhook_endpoints/{endpoint_id}", { ...at(id), body: bodyOf(wish) }));

export const enableEndpoint = (id: string, enabled: boolean) =>
  unwrap(api.PATCH("/v1/webhook_endpoints/{endpoint_id}", { ...at(id), body: { enabled } }));

export const deleteEndpoint = (id: string) =>
  unwrap(api.DELETE("/v1/webhook_endpoints/{endpoint_id}", at(id)));

export const rotateSecret = (id: string) =>
  unwrap(api.POST("/v1/webhook_endpoints/{endpoint_id}/rotate_secret", at(id)));

export const sendTest = (id: string) =>
  unwrap(api.POST("/v1/webhook_endpoints/{endpoint_id}/test", at(id)));

export const replay = (id: string) =>
  unwrap(
    api.POST("/v1/deliveries/{delivery_id}/replay", { params: { path: { delivery_id: id } } }),
  );

/** All that have failed since then, however many calls it takes; returns how many. */
export async function replayFailed(id: string, since: string): Promise<number> {
  let count = 0;
  let from: string | null = since;
  while (from) {
    const some: components["schemas"]["Replayed"] = await unwrap(
      api.POST("/v1/webhook_endpoints/{endpoint_id}/replay_failed", {
        ...at(id),
        body: { since: from },
      }),
    );
    count += some.replayed;
    from = some.next_since;
  }
  return count;
}
