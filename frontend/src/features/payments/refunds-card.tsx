import { useQuery } from "@tanstack/react-query";
import type { Payment } from "../../api/client";
import { Card } from "../../components/card";
import { CopyButton } from "../../components/copy-button";
import { ErrorAlert } from "../../components/error-alert";
import { Time } from "../../components/time";
import { formatMoney } from "../../lib/money";
import { failureSays } from "./labels";
import { paymentRefundsQuery } from "./queries";
import type { Refund } from "./refund-form";
import { StatusBadge } from "./status-badge";

/** Every refund of a payment, the newest first; followed until the last is settled. */
export function Refunds({ payment }: { payment: Payment }) {
  const { data, error, refetch } = useQuery(paymentRefundsQuery(payment));
  if (error) return <ErrorAlert error={error} retry={() => refetch()} />;
  if (!data || data.refunds.length === 0) return null;
  return (
    <Card title="Refunds">
      <ul className="divide-y divide-border text-sm">
        {data.refunds.toReversed().map((refund) => (
          <One key={refund.id} refund={refund} />
        ))}
      </ul>
    </Card>
  );
}

function One({ refund }: { refund: Refund }) {
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
          <CopyButton text={refund.id} what="the refund's id" />
        </span>
      </div>
      {refund.reason && <p className="break-words text-muted">{refund.reason}</p>}
      {refund.failure_code && (
        <p className="text-danger">
          <code className="font-mono">{refund.failure_code}</code>{" "}
          {failureSays(refund.failure_code)} Its amount can be refunded again.
        </p>
      )}
    </li>
  );
}
