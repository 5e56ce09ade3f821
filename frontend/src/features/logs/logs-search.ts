export const STATUS_CLASSES = ["2xx", "4xx", "5xx"] as const;
export type LogsSearch = { status?: string; path?: string };

/** Parse the URL's search parameters. Drops values that the API would reject. */
export function parseLogsSearch(params: Record<string, unknown>): LogsSearch {
  const search: LogsSearch = {};
  const status = String(params.status ?? "");
  if (/^[1-5](\d\d|xx)$/.test(status)) search.status = status;
  if (params.path) search.path = String(params.path).slice(0, 200);
  return search;
}
