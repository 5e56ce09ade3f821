import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { ChevronLeft, Info } from "lucide-react";
import type { ReactNode } from "react";
import type { Payment } from "../../api/client";
import { Card } from "../../components/card";
import { CopyButton } from "../../components/copy-button";
import { ErrorAlert } from "../../components/error-alert";
import { PageTitle } from "../../components/page-title";
import { Time } from "../../components/time";
import { formatMoney } from "../../lib/money";
import { failureSays, typeLabel } from "./labels";
import { Actions } from "./payment-actions";
import { paymentQuery } from "./queries";
import { refundableAmount } from "./refund-form";
import { Refunds } from "./refunds-card";
import { StatusBadge } from "./status-badge";
import { Timeline } from "./timeline";
import { Webhooks } from "./webhooks-card";

const route = getRouteApi("/payments/$id");

export function PaymentPage() {
  const { id } = route.useParams();
  const { data: payment, error, refetch } = useQuery(paymentQuery(id, true));
  return (
    <>
      <Link
        to="/payments"
        className="mb-3 inline-flex items-center gap-1 text-sm text-muted hover:text-foreground"
      >
        <ChevronLeft className="size-4" aria-hidden="true" />
        Payments
      </Link>
      {payment ? (
        <PageTitle
          title={`${formatMoney(payment.amount, payment.currency)} to ${payment.merchant}`}
          actions={<Actions payment={payment} />}
        >
          <span className="tabular-nums">{formatMoney(payment.amount, payment.currency)}</span>{" "}
          <span className="font-normal break-words text-muted">to {payment.merchant}</span>
        </PageTitle>
      ) : (
        <PageTitle title={`Payment ${id}`} />
      )}
      {error && <ErrorAlert error={error} retry={() => refetch()} />}
      {payment && <Whole payment={payment} />}
      {!payment && !error && <p role="status">Loading the payment…</p>}
    </>
  );
}

function Whole({ payment }: { payment: Payment }) {
  const raw = rawOf(payment);
  return (
    <div className="grid gap-5 lg:grid-cols-[1fr_20rem]">
      <div className="min-w-0 space-y-5">
        {payment.failure_code && (
          <p className="flex gap-3 rounded-xl border border-danger/40 bg-danger-subtle p-4 text-sm text-danger">
            <Info className="mt-0.5 size-4 shrink-0" aria-hidden="true" />
            <span>
              <code className="font-mono font-semibold">{payment.failure_code}</code>
              <br />
              {failureSays(payment.failure_code)}
            </span>
          </p>
        )}
        <Card title="Details">
          <dl className="divide-y divide-border text-sm">
            <Row name="Payment id" copy={payment.id} mono>
              {payment.id}
            </Row>
            <Row name="Merchant">{payment.merchant}</Row>
            <Row name="Amount">{formatMoney(payment.amount, payment.currency)}</Row>
            <Row name="Currency">{payment.currency}</Row>
            <Row name="Refunded">{formatMoney(payment.amount_refunded, payment.currency)}</Row>
            <Row name="Left to refund">
              {formatMoney(refundableAmount(payment), payment.currency)}
            </Row>
            <Row name="Type">{typeLabel(payment.type)}</Row>
            <Row name="Description">{payment.description ?? <None />}</Row>
            <Row name="Updated">
              <Time at={payment.updated_at} exact />
            </Row>
            <Row name="Idempotency key" copy={payment.idempotency_key} mono>
              {payment.idempotency_key}
            </Row>
            {Object.entries(payment.metadata).map(([name, value]) => (
              <Row key={name} name={name} copy={value} mono>
                {value}
              </Row>
            ))}
          </dl>
        </Card>
        <Refunds payment={payment} />
        <Webhooks payment={payment} />
        <Card title="JSON" action={<CopyButton text={raw} what="the JSON" />}>
          {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by key */}
          <pre tabIndex={0} className="overflow-x-auto p-4 font-mono text-xs leading-relaxed">
            {raw}
          </pre>
        </Card>
      </div>
      <Card title="Status" className="max-lg:order-first">
        <div className="space-y-4 p-4" aria-live="polite">
          <StatusBadge status={payment.status} />
          <Timeline payment={payment} />
        </div>
      </Card>
    </div>
  );
}

/** As the API writes it: reading JSON takes the zeros from the end of an amount. */
export function rawOf(payment: Payment): string {
  return JSON.stringify(payment, null, 2).replace(
    /^( {2}"amount(?:_refunded)?": )([\d.]+)/gm,
    (_, name: string, amount: string) => name + Number(amount).toFixed(2),
  );
}

function Row({
  name,
  children,
  copy,
  mono = false,
}: {
  name: string;
  children: ReactNode;
  copy?: string;
  mono?: boolean;
}) {
  return (
    <div className="flex flex-wrap items-center gap-x-4 px-4 py-2.5">
      <dt className="w-40 shrink-0 break-words text-muted">{name}</dt>
      <dd className={`flex min-w-0 flex-1 items-center gap-1 ${mono ? "font-mono text-xs" : ""}`}>
        <span className="min-w-0 break-words">{children}</span>
        {copy !== undefined && <CopyButton text={copy} what={name} />}
      </dd>
    </div>
  );
}

function None() {
  return <span className="text-muted">none</span>;
}
