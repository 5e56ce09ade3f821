import { useQuery } from "@tanstack/react-query";
import type { Payment } from "../../api/client";
import type { components } from "../../api/schema";
import { ErrorAlert } from "../../components/error-alert";
import { Time } from "../../components/time";
import { formatMoney } from "../../lib/money";
import { DeliveryBadge } from "../webhooks/badges";
import { type Delivery, paymentDeliveriesQuery } from "../webhooks/queries";
import { paymentEventsQuery } from "./queries";

type Event = components["schemas"]["Event"];

/** The whole story of a payment, oldest first, and what it waits for. */
export function Timeline({ payment }: { payment: Payment }) {
  const { data, error, refetch } = useQuery(paymentEventsQuery(payment));
  const { deliveries = [] } = useQuery(paymentDeliveriesQuery(payment.id)).data ?? {};
  if (error && !data) return <ErrorAlert error={error} retry={() => refetch()} />;
  if (!data) return <p role="status">Loading its story…</p>;
  return (
    <ol className="space-y-4 border-l border-border pl-4 text-sm">
      {data.events.map((event) => (
        <li
          key={event.id}
          className="relative before:absolute before:top-1.5 before:-left-[1.3rem] before:size-2 before:rounded-full before:bg-muted"
        >
          <p className="font-medium">{nameOf(event, payment.currency)}</p>
          <p className="text-xs text-muted">
            <Time at={event.created_at} exact />
            {event.actor !== "system" && ` · by ${event.actor}`}
          </p>
          {codeOf(event) && (
            <p className="text-xs">
              <code className="font-mono">{codeOf(event)}</code>
            </p>
          )}
          <Told deliveries={deliveries.filter((delivery) => delivery.event_id === event.id)} />
        </li>
      ))}
      {payment.status === "processing" && (
        <li className="text-muted">Waiting for the bank; this page follows it.</li>
      )}
    </ol>
  );
}

/** What became of the webhooks that tell of an event; nothing where nobody is to be told. */
function Told({ deliveries }: { deliveries: readonly Delivery[] }) {
  if (deliveries.length === 0) return null;
  return (
    <p className="mt-1 flex flex-wrap items-center gap-1.5 text-xs text-muted">
      {deliveries.length === 1 ? "Webhook" : "Webhooks"}
      {deliveries.map((delivery) => (
        <DeliveryBadge key={delivery.id} status={delivery.status} />
      ))}
    </p>
  );
}

const NAMES: Record<Event["type"], (refunded: string) => string> = {
  "payment.created": () => "Created",
  "payment.completed": () => "Completed",
  "payment.failed": () => "Failed",
  "payment.canceled": () => "Canceled",
  "payment.returned": () => "Returned by the bank",
  "refund.created": (refunded) => `Refund of ${refunded} asked for`,
  "refund.completed": (refunded) => `Refund of ${refunded} completed`,
  "refund.failed": (refunded) => `Refund of ${refunded} failed`,
};

const nameOf = ({ type, data: { refund } }: Event, currency: string) =>
  NAMES[type](refund ? formatMoney(refund.amount, currency) : "");

const codeOf = ({ type, data }: Event) =>
  type.startsWith("refund.") ? data.refund?.failure_code : data.failure_code;
