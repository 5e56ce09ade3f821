import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link, useNavigate } from "@tanstack/react-router";
import { ArrowUp } from "lucide-react";
import { BUTTON_VARIANTS, Button } from "../../components/button";
import { EmptyState } from "../../components/empty-state";
import { ErrorAlert } from "../../components/error-alert";
import { PageTitle } from "../../components/page-title";
import { Pagination } from "../../components/pagination";
import { ExportButton } from "../exports/export-button";
import { Filters } from "./filters";
import { useLiveRows } from "./live-rows";
import { PaymentTable, PaymentTableSkeleton } from "./payment-table";
import { type PaymentsSearch, toApiQuery } from "./payments-search";
import { PaymentsTabs } from "./payments-tabs";
import { PAGE_SIZE, paymentsQuery } from "./queries";

const route = getRouteApi("/payments");

export function PaymentsPage() {
  const search = route.useSearch();
  const { cursor, ...filters } = search;
  const navigate = useNavigate({ from: "/payments" });
  const list = useQuery(paymentsQuery(search));
  const page = list.isPlaceholderData ? undefined : list.data;
  const { rows, newCount, showNew } = useLiveRows(page, JSON.stringify(search));
  // One search looks for both: see fetchPayments.
  const foundBy = rows[0]?.idempotency_key === search.find ? "idempotency_key" : "merchant";
  const exported = { ...toApiQuery(filters), ...(search.find && { [foundBy]: search.find }) };
  return (
    <>
      <PageTitle
        title="Payments"
        actions={<ExportButton of={{ resource: "payments", filters: exported }} />}
      />
      <PaymentsTabs />
      <Filters search={search} />
      <div className="my-2 flex min-h-9 items-center justify-center" role="status">
        {newCount > 0 && (
          <Button onClick={showNew}>
            <ArrowUp className="size-4" aria-hidden="true" />
            {newPaymentsLabel(newCount)}
          </Button>
        )}
      </div>
      {list.error && (
        <div className="mb-4">
          <ErrorAlert error={list.error} retry={() => list.refetch()} />
        </div>
      )}
      {rows.length > 0 && <PaymentTable rows={rows} busy={list.isPlaceholderData} />}
      {rows.length === 0 && page && <NoPayments search={search} />}
      {list.isPending && <PaymentTableSkeleton />}
      {page && (
        <Pagination
          cursor={cursor}
          nextCursor={page.next_cursor}
          goTo={(target, state) =>
            navigate({ search: target ? { ...filters, cursor: target } : filters, state })
          }
        />
      )}
    </>
  );
}

/** If the whole page is new, the next pages may hold more new payments. */
function newPaymentsLabel(count: number) {
  if (count === PAGE_SIZE) return `${count} or more new payments`;
  return count === 1 ? "1 new payment" : `${count} new payments`;
}

function NoPayments({ search }: { search: PaymentsSearch }) {
  if (Object.keys(search).length > 0) {
    return (
      <EmptyState
        title="No matching payments on this page"
        hint="Change the filters, or look at older pages."
      />
    );
  }
  return (
    <EmptyState
      title="No payments yet"
      hint="Payments appear here as soon as they are created."
      action={
        <Link to="/payments/new" className={BUTTON_VARIANTS.primary}>
          Create payment
        </Link>
      }
    />
  );
}
