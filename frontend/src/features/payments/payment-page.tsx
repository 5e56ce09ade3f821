import { useQuery } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { Info } from "lucide-react";
import type { Payment } from "../../api/client";
import { BackLink } from "../../components/back-link";
import { Card } from "../../components/card";
import { CopyButton } from "../../components/copy-button";
import { ErrorAlert } from "../../components/error-alert";
import { PageTitle } from "../../components/page-title";
import { formatMoney } from "../../lib/money";
import { failureCode, failureMessage } from "./labels";
import { PaymentActions } from "./payment-actions";
import { PaymentDetailsCard } from "./payment-details-card";
import { toPaymentJson } from "./payment-json";
import { paymentQuery } from "./queries";
import { RefundsCard } from "./refunds-card";
import { StatusBadge } from "./status-badge";
import { Timeline } from "./timeline";
import { WebhooksCard } from "./webhooks-card";

const route = getRouteApi("/payments/$id");

export function PaymentPage() {
  const { id } = route.useParams();
  const { data: payment, error, refetch } = useQuery(paymentQuery(id, true));
  return (
    <>
      <BackLink to="/payments">Payments</BackLink>
      {payment ? <PaymentTitle payment={payment} /> : <PageTitle title={`Payment ${id}`} />}
      {error && <ErrorAlert error={error} retry={() => refetch()} />}
      {payment && <PaymentCards payment={payment} />}
      {!payment && !error && <p role="status">Loading payment…</p>}
    </>
  );
}

function PaymentTitle({ payment }: { payment: Payment }) {
  const amount = formatMoney(payment.amount, payment.currency);
  const towards = payment.direction === "credit" ? "paid out by" : "to";
  return (
    <PageTitle
      title={`${amount} ${towards} ${payment.merchant}`}
      actions={<PaymentActions payment={payment} />}
    >
      <span className="tabular-nums">{amount}</span>{" "}
      <span className="font-normal break-words text-muted">
        {towards} {payment.merchant}
      </span>
    </PageTitle>
  );
}

function PaymentCards({ payment }: { payment: Payment }) {
  const json = toPaymentJson(payment);
  const code = failureCode(payment);
  return (
    <div className="grid gap-5 lg:grid-cols-[1fr_20rem]">
      <div className="min-w-0 space-y-5">
        {code && (
          <p className="flex gap-3 rounded-xl border border-danger/40 bg-danger-subtle p-4 text-sm text-danger">
            <Info className="mt-0.5 size-4 shrink-0" aria-hidden="true" />
            <span>
              <code className="font-mono font-semibold">{code}</code>
              <br />
              {failureMessage(code)}
            </span>
          </p>
        )}
        <PaymentDetailsCard payment={payment} />
        <RefundsCard payment={payment} />
        <WebhooksCard payment={payment} />
        <Card title="JSON" action={<CopyButton text={json} label="JSON" />}>
          {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a scrollable region needs keyboard access */}
          <pre tabIndex={0} className="overflow-x-auto p-4 font-mono text-xs leading-relaxed">
            {json}
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
