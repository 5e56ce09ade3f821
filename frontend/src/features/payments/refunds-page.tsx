import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link, useNavigate } from "@tanstack/react-router";
import { EmptyState } from "../../components/empty-state";
import { ErrorAlert } from "../../components/error-alert";
import { inputClass } from "../../components/field";
import { PageTitle } from "../../components/page-title";
import { Pagination } from "../../components/pagination";
import { ExportButton } from "../exports/export-button";
import { statusLabel } from "./labels";
import { PaymentTableSkeleton } from "./payment-table";
import { PaymentsTabs } from "./payments-tabs";
import { refundsQuery } from "./queries";
import type { Refund } from "./refund-notes";
import { RefundRow } from "./refund-row";
import { REFUND_STATUSES, type RefundStatus } from "./refunds-search";

const route = getRouteApi("/refunds");

/** The refunds of all payments, newest first. */
export function RefundsPage() {
  const search = route.useSearch();
  const { cursor, ...filters } = search;
  const navigate = useNavigate({ from: "/refunds" });
  const { data, error, refetch, isPlaceholderData } = useQuery(refundsQuery(search));
  const page = isPlaceholderData ? undefined : data;
  return (
    <>
      <PageTitle title="Refunds" actions={<ExportButton of={{ resource: "refunds", filters }} />} />
      <PaymentsTabs />
      <StatusFilter
        status={filters.status}
        onChange={(status) => navigate({ search: status ? { status } : {} })}
      />
      {error && <ErrorAlert error={error} retry={() => refetch()} />}
      {page && page.refunds.length > 0 && <RefundList refunds={page.refunds} />}
      {page?.refunds.length === 0 && (
        <EmptyState
          title={filters.status || cursor ? "No matching refunds" : "No refunds yet"}
          hint="Refund a completed payment on its page."
        />
      )}
      {!page && !error && <PaymentTableSkeleton />}
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

function StatusFilter({
  status,
  onChange,
}: {
  status: RefundStatus | undefined;
  onChange: (status: RefundStatus | undefined) => void;
}) {
  return (
    <label className="mb-4 block w-fit text-xs font-medium text-muted">
      Status
      <select
        className={`${inputClass()} mt-1 block`}
        value={status ?? ""}
        onChange={({ target: { value } }) => onChange((value || undefined) as RefundStatus)}
      >
        <option value="">All</option>
        {REFUND_STATUSES.map((value) => (
          <option key={value} value={value}>
            {statusLabel(value)}
          </option>
        ))}
      </select>
    </label>
  );
}

function RefundList({ refunds }: { refunds: readonly Refund[] }) {
  return (
    <ul className="divide-y divide-border overflow-hidden rounded-xl border border-border bg-surface text-sm">
      {refunds.map((refund) => (
        <RefundRow
          key={refund.id}
          refund={refund}
          end={
            <Link
              to="/payments/$id"
              params={{ id: refund.payment_id }}
              className="text-accent hover:underline"
            >
              {refund.payment_id}
            </Link>
          }
        />
      ))}
    </ul>
  );
}
