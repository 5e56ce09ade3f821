import { useQuery } from "@tanstack/react-query";
import type { Payment } from "../../api/client";
import { Card } from "../../components/card";
import { ErrorAlert } from "../../components/error-alert";
import { DeliveryList } from "../webhooks/delivery-list";
import { paymentDeliveriesQuery } from "../webhooks/queries";

/** The webhooks of a payment's events. Renders nothing if there is none. */
export function WebhooksCard({ payment }: { payment: Payment }) {
  const { data, error, refetch } = useQuery(paymentDeliveriesQuery(payment.id));
  if (error) return <ErrorAlert error={error} retry={() => refetch()} />;
  if (!data || data.length === 0) return null;
  return (
    <Card title="Webhooks">
      <DeliveryList deliveries={data} />
    </Card>
  );
}
