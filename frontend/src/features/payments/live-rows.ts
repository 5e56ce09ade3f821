import { useQueries } from "@tanstack/react-query";
import { useState } from "react";
import type { Payment, PaymentPage } from "../../api/client";
import { paymentQuery } from "./queries";

/**
 * The rows of a polled list. No row ever jumps away under the pointer.
 *
 * Rows keep their positions and show their latest state. New payments are counted, and shown when
 * the viewer asks for them. A row that leaves the page (pushed out, or no longer matching the
 * filter) is polled on its own. `listKey` names the list: another list has other rows.
 */
export function useLiveRows(page: PaymentPage | undefined, listKey: string) {
  const [shown, setShown] = useState<{ listKey: string; rows: readonly Payment[] }>();
  // In an empty list nothing can jump, so new payments are shown at once.
  const keepsRows = shown?.listKey === listKey && (shown.rows.length > 0 || !page?.payments.length);
  if (page && !keepsRows) setShown({ listKey, rows: page.payments });

  const rows = shown?.listKey === listKey ? shown.rows : (page?.payments ?? []);
  const latest = new Map(page?.payments.map((payment) => [payment.id, payment]));
  const missing = rows.filter((row) => page && !latest.has(row.id));
  const polled = useQueries({
    queries: missing.map((row) => ({ ...paymentQuery(row.id), initialData: row, staleTime: 0 })),
  });
  for (const { data } of polled) if (data) latest.set(data.id, data);

  const shownIds = new Set(rows.map((row) => row.id));
  // A payment that is older than the first row is not new: it has moved up from the next page.
  const newestShown = rows[0]?.created_at ?? "";
  const isNew = ({ id, created_at }: Payment) => !shownIds.has(id) && created_at > newestShown;
  return {
    rows: rows.map((row) => latest.get(row.id) ?? row),
    newCount: page?.payments.filter(isNew).length ?? 0,
    showNew: () => page && setShown({ listKey, rows: page.payments }),
  };
}
