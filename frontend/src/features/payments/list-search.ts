import type { Currency, PaymentType, Status } from "../../api/client";
import { firstMoment, isDay, lastMoment } from "../../ui/days";
import { CURRENCIES, STATUSES, TYPES } from "./words";

/** What the list shows, as its address says. */
export type ListSearch = {
  status?: Status;
  type?: PaymentType;
  currency?: Currency;
  from?: string;
  to?: string;
  cursor?: string;
};

/** An address that somebody typed or cut may say anything: what means nothing is left out. */
export function listSearch(said: Record<string, unknown>): ListSearch {
  const search: ListSearch = {};
  const status = STATUSES.find((one) => one === said.status);
  const type = TYPES.find((one) => one === said.type);
  const currency = CURRENCIES.find((one) => one === said.currency);
  if (status) search.status = status;
  if (type) search.type = type;
  if (currency) search.currency = currency;
  if (typeof said.from === "string" && isDay(said.from)) search.from = said.from;
  if (typeof said.to === "string" && isDay(said.to)) search.to = said.to;
  if (typeof said.cursor === "string" && said.cursor) search.cursor = said.cursor;
  return search;
}

/** The same for the API. Its days would be UTC's; these are the viewer's, as moments. */
export function listQuery({ from, to, ...rest }: ListSearch) {
  return {
    ...rest,
    ...(from && { created_from: firstMoment(from) }),
    ...(to && { created_to: lastMoment(to) }),
  };
}
