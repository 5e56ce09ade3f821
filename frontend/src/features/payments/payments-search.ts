import type { Currency, PaymentType, Status } from "../../api/client";
import { endOfDay, isValidDate, startOfDay } from "../../lib/dates";
import { CURRENCIES, STATUSES, TYPES } from "./labels";

/** What the list shows, as its address says. */
export type PaymentsSearch = {
  status?: Status;
  type?: PaymentType;
  currency?: Currency;
  from?: string;
  to?: string;
  cursor?: string;
};

/** An address that somebody typed or cut may say anything: what means nothing is left out. */
export function parsePaymentsSearch(said: Record<string, unknown>): PaymentsSearch {
  const search: PaymentsSearch = {};
  const status = STATUSES.find((one) => one === said.status);
  const type = TYPES.find((one) => one === said.type);
  const currency = CURRENCIES.find((one) => one === said.currency);
  if (status) search.status = status;
  if (type) search.type = type;
  if (currency) search.currency = currency;
  if (typeof said.from === "string" && isValidDate(said.from)) search.from = said.from;
  if (typeof said.to === "string" && isValidDate(said.to)) search.to = said.to;
  if (typeof said.cursor === "string" && said.cursor) search.cursor = said.cursor;
  return search;
}

/** The same for the API. Its days would be UTC's; these are the viewer's, as moments. */
export function toApiQuery({ from, to, ...rest }: PaymentsSearch) {
  return {
    ...rest,
    ...(from && { created_from: startOfDay(from) }),
    ...(to && { created_to: endOfDay(to) }),
  };
}
