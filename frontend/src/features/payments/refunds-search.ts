import type { components } from "../../api/schema";

export type RefundStatus = components["schemas"]["RefundStatus"];

/** The filter and the page of the list of refunds, as stored in the URL. */
export type RefundsSearch = { status?: RefundStatus; cursor?: string };

export const REFUND_STATUSES = [
  "processing",
  "completed",
  "failed",
  "returned",
] as const satisfies readonly RefundStatus[];

/** Parse the URL's search parameters. Drops invalid values. */
export function parseRefundsSearch(params: Record<string, unknown>): RefundsSearch {
  const search: RefundsSearch = {};
  const status = REFUND_STATUSES.find((value) => value === params.status);
  if (status) search.status = status;
  if (typeof params.cursor === "string" && params.cursor) search.cursor = params.cursor;
  return search;
}
