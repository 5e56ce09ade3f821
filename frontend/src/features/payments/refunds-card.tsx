import { useQuery } from "@tanstack/react-query";
import type { Payment } from "../../api/client";
import { Card } from "../../components/card";
import { CopyButton } from "../../components/copy-button";
import { ErrorAlert } from "../../components/error-alert";
import { Time } from "../../components/time";
import { formatMoney } from "../../lib/money";
import { paymentRefundsQuery } from "./queries";
import { refundableAmount } from "./refund-form";
import { type Refund, RefundNotes } from "./refund-notes";
import { StatusBadge } from "./status-badge";

/** The refunds of a payment, newest first. Renders nothing if there is none. */
export function RefundsCard({ payment }: { payment: Payment }) {
  const { data, error, refetch } = useQuery(paymentRefundsQuery(payment));
  if (error) return <ErrorAlert error={error} retry={() => refetch()} />;
  if (!data || data.length === 0) return null;
  return (
    <Card title="Refunds">
      <ul className="divide-y divide-border text-sm">
        {data.toReversed().map((refund) => (
          <RefundRow key={refund.id} refund={refund} payment={payment} />
        ))}
      </ul>
    </Card>
  );
}

function RefundRow({ refund, payment }: { refund: Refund; payment: Payment }) {
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
          {refund.id}
          <CopyButton text={refund.id} label="refund ID" />
        </span>
      </div>
      <RefundNotes
        refund={refund}
        hint={refundableAmount(payment) > 0 ? "You can refund this amount again." : ""}
      />
    </li>
  );
}
