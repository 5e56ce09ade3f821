import { keepPreviousData, queryOptions } from "@tanstack/react-query";
import { answer, api } from "../../api/client";
import { every } from "../../api/patience";
import { lastDays, type Range } from "./range";

const STATS_MS = 60_000;
const HEALTH_MS = 15_000;

export const statsOf = (days: Range) =>
  queryOptions({
    queryKey: ["stats", days],
    queryFn: ({ signal }) =>
      answer(api.GET("/v1/stats", { params: { query: lastDays(days) }, signal })),
    placeholderData: keepPreviousData,
    refetchInterval: every(STATS_MS),
  });

/** Whether the tables and the queue answer too. */
export const healthQuery = queryOptions({
  queryKey: ["health"],
  queryFn: ({ signal }) =>
    answer(api.GET("/v1/health", { params: { query: { deep: "1" } }, signal })),
  refetchInterval: every(HEALTH_MS),
  retry: false, // what is not well is said at once
});
