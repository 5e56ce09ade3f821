import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link, useNavigate, useRouterState } from "@tanstack/react-router";
import { ArrowUp, ChevronLeft, ChevronRight } from "lucide-react";
import { BUTTON_VARIANTS, Button } from "../../components/button";
import { EmptyState } from "../../components/empty-state";
import { ErrorAlert } from "../../components/error-alert";
import { PageTitle } from "../../components/page-title";
import { ExportButton } from "./export-button";
import { Filters } from "./filters";
import { useLiveRows } from "./live-rows";
import { PaymentTable, PaymentTableSkeleton } from "./payment-table";
import type { PaymentsSearch } from "./payments-search";
import { PAGE_SIZE, paymentsQuery } from "./queries";

const route = getRouteApi("/payments");

export function PaymentsPage() {
  const search = route.useSearch();
  const list = useQuery(paymentsQuery(search));
  const page = list.isPlaceholderData ? undefined : list.data;
  const { rows, newCount, showNew } = useLiveRows(page, JSON.stringify(search));
  return (
    <>
      <PageTitle title="Payments" actions={<ExportButton search={search} />} />
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
      {page && <Pagination search={search} nextCursor={page.next_cursor} />}
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

function Pagination({
  search: { cursor, ...filters },
  nextCursor,
}: {
  search: PaymentsSearch;
  nextCursor: string | null;
}) {
  const navigate = useNavigate({ from: "/payments" });
  const newerCursors = useRouterState({
    select: ({ location }) => location.state.newerCursors ?? [],
  });
  const goTo = (target: string | undefined, newer: readonly (string | undefined)[]) =>
    navigate({
      search: target ? { ...filters, cursor: target } : filters,
      state: { newerCursors: newer },
    });
  if (!cursor && !nextCursor) return null;
  return (
    <nav aria-label="Pagination" className="mt-4 flex justify-between">
      <Button
        disabled={!cursor}
        onClick={() => goTo(newerCursors.at(-1), newerCursors.slice(0, -1))}
      >
        <ChevronLeft className="size-4" aria-hidden="true" />
        Newer
      </Button>
      <Button
        disabled={!nextCursor}
        onClick={() => nextCursor && goTo(nextCursor, [...newerCursors, cursor])}
      >
        Older
        <ChevronRight className="size-4" aria-hidden="true" />
      </Button>
    </nav>
  );
}
