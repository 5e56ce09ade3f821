import { keepPreviousData, queryOptions } from "@tanstack/react-query";
import { answer, api } from "../../api/client";
import type { LogsSearch } from "./logs-search";

const LIVE_MS = 5_000;

export const logsOf = (search: LogsSearch, isLive: boolean) =>
  queryOptions({
    queryKey: ["logs", search],
    queryFn: ({ signal }) => answer(api.GET("/v1/logs", { params: { query: search }, signal })),
    placeholderData: keepPreviousData,
    refetchInterval: isLive && LIVE_MS,
    refetchOnWindowFocus: isLive,
  });
