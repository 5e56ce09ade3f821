import { keepPreviousData, queryOptions } from "@tanstack/react-query";
import { api, unwrap } from "../../api/client";
import { pollEvery } from "../../api/retry";
import type { LogsSearch } from "./logs-search";

/** CloudWatch allows some five calls a second in an account, and an answer takes three or more. */
const POLL_MS = 15_000;

export const logsQuery = (search: LogsSearch, isLive: boolean) =>
  queryOptions({
    queryKey: ["logs", search],
    queryFn: ({ signal }) => unwrap(api.GET("/v1/logs", { params: { query: search }, signal })),
    placeholderData: keepPreviousData,
    refetchInterval: isLive && pollEvery(POLL_MS),
    refetchOnWindowFocus: isLive,
  });

const PAGE_SIZE = 20;

export const auditQuery = (cursor: string | undefined) =>
  queryOptions({
    queryKey: ["audit", cursor],
    queryFn: ({ signal }) =>
      unwrap(
        api.GET("/v1/audit_events", {
          params: { query: { limit: PAGE_SIZE, ...(cursor && { cursor }) } },
          signal,
        }),
      ),
    placeholderData: keepPreviousData,
  });
