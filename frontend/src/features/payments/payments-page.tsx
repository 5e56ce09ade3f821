import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link, useNavigate, useRouterState } from "@tanstack/react-router";
import { ArrowUp, ChevronLeft, ChevronRight } from "lucide-react";
import type { Payment } from "../../api/client";
import { BUTTON_VARIANTS, Button } from "../../components/button";
import { ErrorAlert } from "../../components/error-alert";
import { PageTitle } from "../../components/page-title";
import { Time } from "../../components/time";
import { formatMoney } from "../../lib/money";
import { ExportButton } from "./export-button";
import { Filters } from "./filters";
import { typeLabel } from "./labels";
import { useLiveRows } from "./live-rows";
import type { PaymentsSearch } from "./payments-search";
import { PAGE_SIZE, paymentsQuery } from "./queries";
import { StatusBadge } from "./status-badge";

const route = getRouteApi("/payments");

export function PaymentsPage() {
  const search = route.useSearch();
  const list = useQuery(paymentsQuery(search));
  const fresh = list.isPlaceholderData ? undefined : list.data;
  const { rows, arrived, showArrived } = useLiveRows(fresh, JSON.stringify(search));
  return (
    <>
      <PageTitle title="Payments" actions={<ExportButton search={search} />} />
      <Filters search={search} />
      <div className="my-2 flex min-h-9 items-center justify-center" role="status">
        {arrived > 0 && (
          <Button onClick={showArrived}>
            <ArrowUp className="size-4" aria-hidden="true" />
            {newPayments(arrived)}
          </Button>
        )}
      </div>
      {list.error && (
        <div className="mb-4">
          <ErrorAlert error={list.error} retry={() => list.refetch()} />
        </div>
      )}
      {fresh && rows.length === 0 ? (
        <Nothing search={search} />
      ) : (
        rows.length > 0 && <Table rows={rows} busy={list.isPlaceholderData} />
      )}
      {list.isPending && <Skeleton />}
      {fresh && <Pager search={search} next={fresh.next_cursor} />}
    </>
  );
}

/** A page full of them may be followed by more. */
function newPayments(count: number) {
  if (count === PAGE_SIZE) return `${count} or more new payments`;
  return count === 1 ? "1 new payment" : `${count} new payments`;
}

const HEADS = "px-4 py-2.5 text-left text-xs font-medium text-muted";

function Table({ rows, busy }: { rows: readonly Payment[]; busy: boolean }) {
  return (
    <div className="overflow-hidden rounded-xl border border-border bg-surface" aria-busy={busy}>
      <table className="w-full text-sm">
        <thead className="border-b border-border bg-raised/60">
          <tr>
            <th scope="col" className={HEADS}>
              Merchant
            </th>
            <th scope="col" className={`${HEADS} text-right!`}>
              Amount
            </th>
            <th scope="col" className={`${HEADS} max-sm:hidden`}>
              Type
            </th>
            <th scope="col" className={`${HEADS} max-sm:hidden`}>
              Status
            </th>
            <th scope="col" className={`${HEADS} max-lg:hidden`}>
              Created
            </th>
          </tr>
        </thead>
        <tbody className="divide-y divide-border">
          {rows.map((payment) => (
            <tr key={payment.id} className="relative hover:bg-raised/60">
              <td className="max-w-0 w-full px-4 py-3">
                <Link
                  to="/payments/$id"
                  params={{ id: payment.id }}
                  className="block truncate font-medium after:absolute after:inset-0"
                >
                  {payment.merchant}
                </Link>
                <span className="block truncate text-xs text-muted lg:font-mono">
                  <span className="max-lg:hidden">{payment.id}</span>
                  <span className="lg:hidden">
                    <Time at={payment.created_at} />
                  </span>
                </span>
              </td>
              <td className="px-4 py-3 text-right tabular-nums whitespace-nowrap">
                {formatMoney(payment.amount, payment.currency)}
                <span className="mt-1 block sm:hidden">
                  <StatusBadge status={payment.status} />
                </span>
              </td>
              <td className="px-4 py-3 max-sm:hidden">{typeLabel(payment.type)}</td>
              <td className="px-4 py-3 max-sm:hidden">
                <StatusBadge status={payment.status} />
              </td>
              <td className="px-4 py-3 whitespace-nowrap text-muted max-lg:hidden">
                <Time at={payment.created_at} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Nothing({ search }: { search: PaymentsSearch }) {
  const isFiltered = Object.keys(search).length > 0;
  return (
    <div className="rounded-xl border border-dashed border-border p-10 text-center">
      <p className="font-medium">
        {isFiltered ? "No payment on this page matches" : "There is no payment yet"}
      </p>
      <p className="mt-1 mb-4 text-sm text-muted">
        {isFiltered
          ? "Other filters may find what you look for, or an older page if there is one."
          : "The first one appears here as soon as it is made."}
      </p>
      {!isFiltered && (
        <Link to="/payments/new" className={BUTTON_VARIANTS.primary}>
          Make a payment
        </Link>
      )}
    </div>
  );
}

function Pager({ search, next }: { search: PaymentsSearch; next: string | null }) {
  const navigate = useNavigate({ from: "/payments" });
  const trail = useRouterState({ select: ({ location }) => location.state.trail ?? [] });
  const { cursor, ...filters } = search;
  const go = (to: string | undefined, past: readonly (string | undefined)[]) =>
    navigate({ search: to ? { ...filters, cursor: to } : filters, state: { trail: past } });
  if (!cursor && !next) return null;
  return (
    <nav aria-label="Pages of the list" className="mt-4 flex justify-between">
      <Button disabled={!cursor} onClick={() => go(trail.at(-1), trail.slice(0, -1))}>
        <ChevronLeft className="size-4" aria-hidden="true" />
        Newer
      </Button>
      <Button disabled={!next} onClick={() => next && go(next, [...trail, cursor])}>
        Older
        <ChevronRight className="size-4" aria-hidden="true" />
      </Button>
    </nav>
  );
}

function Skeleton() {
  return (
    <div role="status" className="overflow-hidden rounded-xl border border-border bg-surface">
      <span className="sr-only">Loading the payments…</span>
      {Array.from({ length: 8 }, (_, row) => (
        <div
          // biome-ignore lint/suspicious/noArrayIndexKey: they are all the same
          key={row}
          className="flex gap-4 border-b border-border p-4 last:border-0"
        >
          <div className="h-4 flex-1 animate-pulse rounded bg-raised" />
          <div className="h-4 w-24 animate-pulse rounded bg-raised" />
        </div>
      ))}
    </div>
  );
}
