import { keepPreviousData, queryOptions } from "@tanstack/react-query";
import { api, unwrap } from "../../api/client";
import { pollEvery } from "../../api/retry";
import { lastDays, type Range } from "./overview-search";

const STATS_POLL_MS = 60_000;
const HEALTH_POLL_MS = 15_000;

export const statsQuery = (days: Range) =>
  queryOptions({
    queryKey: ["stats", days],
    queryFn: ({ signal }) =>
      unwrap(api.GET("/v1/stats", { params: { query: lastDays(days) }, signal })),
    placeholderData: keepPreviousData,
    refetchInterval: pollEvery(STATS_POLL_MS),
  });

/** A deep health check, which includes the database and the queues. */
export const healthQuery = queryOptions({
  queryKey: ["health"],
  queryFn: ({ signal }) =>
    unwrap(api.GET("/v1/health", { params: { query: { deep: "1" } }, signal })),
  refetchInterval: pollEvery(HEALTH_POLL_MS),
  retry: false, // show a failure at once
});
