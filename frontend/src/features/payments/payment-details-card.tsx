import type { ReactNode } from "react";
import type { Payment } from "../../api/client";
import { Card } from "../../components/card";
import { CopyButton } from "../../components/copy-button";
import { Time } from "../../components/time";
import { formatMoney } from "../../lib/money";
import { lostAmount } from "./amount";
import { directionLabel, typeLabel } from "./labels";
import { refundableAmount } from "./refund-form";

export function PaymentDetailsCard({ payment }: { payment: Payment }) {
  const { currency } = payment;
  const lost = lostAmount(payment);
  return (
    <Card title="Details">
      <dl className="divide-y divide-border text-sm">
        <DetailRow label="Payment ID" copy={payment.id} mono>
          {payment.id}
        </DetailRow>
        <DetailRow label="Merchant">{payment.merchant}</DetailRow>
        <DetailRow label="Amount">{formatMoney(payment.amount, currency)}</DetailRow>
        <DetailRow label="Currency">{currency}</DetailRow>
        <DetailRow label="Direction">{directionLabel(payment.direction)}</DetailRow>
        {payment.expected_at && (
          <DetailRow label="Outcome expected">
            <Time at={payment.expected_at} format="exact" />
          </DetailRow>
        )}
        {payment.status === "returned" && (
          <DetailRow label="Returned">{formatMoney(payment.amount_returned, currency)}</DetailRow>
        )}
        {payment.direction === "debit" && (
          <>
            <DetailRow label="Refunded">{formatMoney(payment.amount_refunded, currency)}</DetailRow>
            {lost > 0 && <DetailRow label="Lost">{formatMoney(lost, currency)}</DetailRow>}
            <DetailRow label="Refundable">
              {formatMoney(refundableAmount(payment), currency)}
            </DetailRow>
          </>
        )}
        {payment.bank_code && (
          <DetailRow label="Bank's code" mono>
            {payment.bank_code}
          </DetailRow>
        )}
        <DetailRow label="Type">{typeLabel(payment.type)}</DetailRow>
        <DetailRow label="Description">
          {payment.description ?? <span className="text-muted">None</span>}
        </DetailRow>
        <DetailRow label="Updated">
          <Time at={payment.updated_at} format="exact" />
        </DetailRow>
        <DetailRow label="Idempotency key" copy={payment.idempotency_key} mono>
          {payment.idempotency_key}
        </DetailRow>
        {Object.entries(payment.metadata).map(([key, value]) => (
          <DetailRow key={key} label={key} copy={value} mono>
            {value}
          </DetailRow>
        ))}
      </dl>
    </Card>
  );
}

function DetailRow({
  label,
  children,
  copy,
  mono = false,
}: {
  label: string;
  children: ReactNode;
  copy?: string;
  mono?: boolean;
}) {
  return (
    <div className="flex flex-wrap items-center gap-x-4 px-4 py-2.5">
      <dt className="w-40 shrink-0 break-words text-muted">{label}</dt>
      <dd className={`flex min-w-0 flex-1 items-center gap-1 ${mono ? "font-mono text-xs" : ""}`}>
        <span className="min-w-0 break-words">{children}</span>
        {copy !== undefined && <CopyButton text={copy} label={label} />}
      </dd>
    </div>
  );
}
