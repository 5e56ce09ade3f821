import { keepPreviousData, queryOptions } from "@tanstack/react-query";
import { answer, api } from "../../api/client";
import { every } from "../../api/patience";
import type { LogsSearch } from "./logs-search";

const LIVE_MS = 5_000;

export const logsOf = (search: LogsSearch, isLive: boolean) =>
  queryOptions({
    queryKey: ["logs", search],
    queryFn: ({ signal }) => answer(api.GET("/v1/logs", { params: { query: search }, signal })),
    placeholderData: keepPreviousData,
    refetchInterval: isLive && every(LIVE_MS),
    refetchOnWindowFocus: isLive,
  });
