export const CLASSES = ["2xx", "4xx", "5xx"] as const;
export type LogsSearch = { status?: string; path?: string };

/** An address may say anything: what the API would refuse is left out. */
export function parseLogsSearch(said: Record<string, unknown>): LogsSearch {
  const search: LogsSearch = {};
  const status = String(said.status ?? "");
  if (/^[1-5](\d\d|xx)$/.test(status)) search.status = status;
  if (said.path) search.path = String(said.path).slice(0, 200);
  return search;
}
