import { useQuery } from "@tanstack/react-query";
import type { Payment } from "../../api/client";
import type { components } from "../../api/schema";
import { ErrorAlert } from "../../components/error-alert";
import { KeyName } from "../../components/key-name";
import { Time } from "../../components/time";
import { formatMoney } from "../../lib/money";
import { DeliveryBadge } from "../webhooks/badges";
import { type Delivery, paymentDeliveriesQuery } from "../webhooks/queries";
import { failureMessage } from "./labels";
import { paymentEventsQuery } from "./queries";

type Event = components["schemas"]["Event"];

/** The events of a payment, oldest first, with the status of their webhooks. */
export function Timeline({ payment }: { payment: Payment }) {
  const { data, error, refetch } = useQuery(paymentEventsQuery(payment));
  const deliveries = useQuery(paymentDeliveriesQuery(payment.id)).data ?? [];
  if (error && !data) return <ErrorAlert error={error} retry={() => refetch()} />;
  if (!data) return <p role="status">Loading events…</p>;
  return (
    <ol className="space-y-4 border-l border-border pl-4 text-sm">
      {data.map((event) => (
        <TimelineItem
          key={event.id}
          event={event}
          currency={payment.currency}
          deliveries={deliveries.filter((delivery) => delivery.event_id === event.id)}
        />
      ))}
      {payment.status === "processing" && <WaitingForBank payment={payment} />}
    </ol>
  );
}

function WaitingForBank({ payment: { expected_at } }: { payment: Payment }) {
  return (
    <li className="text-muted">
      Waiting for the bank…
      {expected_at && (
        <p className="text-xs">
          Expected <Time at={expected_at} format="exact" />
        </p>
      )}
    </li>
  );
}

function TimelineItem({
  event,
  currency,
  deliveries,
}: {
  event: Event;
  currency: string;
  deliveries: readonly Delivery[];
}) {
  const code = codeOf(event);
  const { fact } = event.data;
  return (
    <li className="relative before:absolute before:top-1.5 before:-left-[1.3rem] before:size-2 before:rounded-full before:bg-muted">
      <p className="font-medium">{eventLabel(event, currency)}</p>
      <p className="text-xs text-muted">
        <Time at={event.created_at} format="exact" />
        {event.actor !== "system" && (
          <>
            {" · by "}
            <KeyName name={event.actor} id={event.actor_id ?? null} />
          </>
        )}
      </p>
      {code && (
        <p className="text-xs">
          <code className="font-mono">{code}</code>
          {fact && " The status stays as it is."}
          {fact?.failure_code && ` ${failureMessage(fact.failure_code)}`}
        </p>
      )}
      {deliveries.length > 0 && (
        <p className="mt-1 flex flex-wrap items-center gap-1.5 text-xs text-muted">
          {deliveries.length === 1 ? "Webhook" : "Webhooks"}
          {deliveries.map((delivery) => (
            <DeliveryBadge key={delivery.id} status={delivery.status} />
          ))}
        </p>
      )}
    </li>
  );
}

const EVENT_LABELS: Record<Event["type"], (refundAmount: string) => string> = {
  "payment.created": () => "Created",
  "payment.completed": () => "Completed",
  "payment.failed": () => "Failed",
  "payment.canceled": () => "Canceled",
  "payment.returned": () => "Returned by the bank",
  "payment.contradicted": () => "Conflicting report from the bank",
  "refund.created": (amount) => `Refund of ${amount} created`,
  "refund.completed": (amount) => `Refund of ${amount} completed`,
  "refund.failed": (amount) => `Refund of ${amount} failed`,
  "refund.returned": (amount) => `Refund of ${amount} returned by the bank`,
  "refund.contradicted": (amount) => `Conflicting report from the bank on the refund of ${amount}`,
};

const eventLabel = ({ type, data: { refund } }: Event, currency: string) =>
  EVENT_LABELS[type](refund ? formatMoney(refund.amount, currency) : "");

/** The code of the change; of a contradiction, what the bank said. */
function codeOf({ type, data: { fact, refund, ...payment } }: Event) {
  if (fact) return [fact.outcome, fact.bank_code ?? fact.failure_code].filter(Boolean).join(" ");
  const { bank_code, failure_code } = (type.startsWith("refund.") ? refund : payment) ?? {};
  return bank_code ?? failure_code;
}
