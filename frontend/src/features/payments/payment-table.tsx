import { Link } from "@tanstack/react-router";
import type { Payment } from "../../api/client";
import { Time } from "../../components/time";
import { formatMoney } from "../../lib/money";
import { typeLabel } from "./labels";
import { StatusBadge } from "./status-badge";

const HEADER_CELL = "px-4 py-2.5 text-left text-xs font-medium text-muted";

export function PaymentTable({ rows, busy }: { rows: readonly Payment[]; busy: boolean }) {
  return (
    <div className="overflow-hidden rounded-xl border border-border bg-surface" aria-busy={busy}>
      <table className="w-full text-sm">
        <thead className="border-b border-border bg-raised/60">
          <tr>
            <th scope="col" className={HEADER_CELL}>
              Merchant
            </th>
            <th scope="col" className={`${HEADER_CELL} text-right!`}>
              Amount
            </th>
            <th scope="col" className={`${HEADER_CELL} max-sm:hidden`}>
              Type
            </th>
            <th scope="col" className={`${HEADER_CELL} max-sm:hidden`}>
              Status
            </th>
            <th scope="col" className={`${HEADER_CELL} max-lg:hidden`}>
              Created
            </th>
          </tr>
        </thead>
        <tbody className="divide-y divide-border">
          {rows.map((payment) => (
            <PaymentRow key={payment.id} payment={payment} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** On small screens the hidden columns move below the merchant and the amount. */
function PaymentRow({ payment }: { payment: Payment }) {
  return (
    <tr className="relative hover:bg-raised/60">
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
        {payment.direction === "credit" && (
          <span className="block text-xs text-muted">paid out</span>
        )}
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
  );
}

export function PaymentTableSkeleton() {
  return (
    <div role="status" className="overflow-hidden rounded-xl border border-border bg-surface">
      <span className="sr-only">Loading payments…</span>
      {Array.from({ length: 8 }, (_, row) => (
        <div
          // biome-ignore lint/suspicious/noArrayIndexKey: the rows are identical
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
