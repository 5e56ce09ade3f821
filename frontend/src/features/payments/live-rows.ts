import { useQueries } from "@tanstack/react-query";
import { useState } from "react";
import type { Payment, PaymentPage } from "../../api/client";
import { paymentQuery } from "./queries";

/**
 * The rows of a page that is asked for again and again. They stay in their places: each shows
 * its newest state, and what is new waits until it is asked for, so that no row moves away
 * under the pointer. A row that has left the page (pushed out, or settled under a filter) is
 * followed by itself.
 */
export function useLiveRows(fresh: PaymentPage | undefined, place: string) {
  const [shown, show] = useState<{ place: string; rows: readonly Payment[] }>();
  // Where nothing is shown, nothing can move.
  const isStill = shown?.place === place && (shown.rows.length > 0 || !fresh?.payments.length);
  if (fresh && !isStill) show({ place, rows: fresh.payments });

  const rows = shown?.place === place ? shown.rows : (fresh?.payments ?? []);
  const byId = new Map(fresh?.payments.map((payment) => [payment.id, payment]));
  const left = rows.filter((row) => fresh && !byId.has(row.id));
  const followed = useQueries({
    queries: left.map((row) => ({ ...paymentQuery(row.id), initialData: row, staleTime: 0 })),
  });
  for (const { data } of followed) if (data) byId.set(data.id, data);

  const known = new Set(rows.map((row) => row.id));
  const arrived = fresh?.payments.filter((payment) => !known.has(payment.id)) ?? [];
  // Below the first row that is shown, a payment is not new: it has moved up from the next page.
  const newest = rows[0]?.created_at ?? "";
  return {
    rows: rows.map((row) => byId.get(row.id) ?? row),
    arrived: arrived.filter((payment) => payment.created_at > newest).length,
    showArrived: () => fresh && show({ place, rows: fresh.payments }),
  };
}
