import type { ReactNode } from "react";
import { Time } from "../../components/time";
import { formatMoney } from "../../lib/money";
import { type Refund, RefundNotes } from "./refund-notes";
import { StatusBadge } from "./status-badge";

/** A refund in a list; `end` names it or its payment. */
export function RefundRow({
  refund,
  end,
  hint = "",
}: {
  refund: Refund;
  end: ReactNode;
  hint?: string;
}) {
  return (
    <li className="space-y-1 px-4 py-3">
      <div className="flex flex-wrap items-center gap-x-4 gap-y-1">
        <span className="font-medium tabular-nums">
          {formatMoney(refund.amount, refund.currency)}
        </span>
        <StatusBadge status={refund.status} />
        <span className="text-xs text-muted">
          <Time at={refund.created_at} />
        </span>
        <span className="flex min-w-0 items-center gap-1 font-mono text-xs break-all text-muted sm:ml-auto">
          {end}
        </span>
      </div>
      <RefundNotes refund={refund} hint={hint} />
    </li>
  );
}
