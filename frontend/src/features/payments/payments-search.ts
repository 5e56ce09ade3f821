import type { Currency, PaymentType, Status } from "../../api/client";
import { endOfDay, isValidDate, startOfDay } from "../../lib/dates";
import { CURRENCIES, STATUSES, TYPES } from "./labels";

/** The filters and the page of the payment list, as stored in the URL. */
export type PaymentsSearch = {
  status?: Status;
  type?: PaymentType;
  currency?: Currency;
  from?: string;
  to?: string;
  /** An idempotency key or a merchant's name. */
  find?: string;
  cursor?: string;
};

/** Parse the URL's search parameters. Drops invalid values, as in a mistyped or truncated URL. */
export function parsePaymentsSearch(params: Record<string, unknown>): PaymentsSearch {
  const search: PaymentsSearch = {};
  const status = STATUSES.find((value) => value === params.status);
  const type = TYPES.find((value) => value === params.type);
  const currency = CURRENCIES.find((value) => value === params.currency);
  if (status) search.status = status;
  if (type) search.type = type;
  if (currency) search.currency = currency;
  if (typeof params.from === "string" && isValidDate(params.from)) search.from = params.from;
  if (typeof params.to === "string" && isValidDate(params.to)) search.to = params.to;
  if (typeof params.find === "string" && params.find.trim()) search.find = params.find.trim();
  if (typeof params.cursor === "string" && params.cursor) search.cursor = params.cursor;
  return search;
}

/**
 * Build the API's query. It reads bare dates as UTC, so send the viewer's days as timestamps. What
 * to find is left to the caller: the API looks for a key or for a merchant.
 */
export function toApiQuery({ from, to, find: _, ...rest }: PaymentsSearch) {
  return {
    ...rest,
    ...(from && { created_from: startOfDay(from) }),
    ...(to && { created_to: endOfDay(to) }),
  };
}
