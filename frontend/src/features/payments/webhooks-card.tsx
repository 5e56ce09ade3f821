import { useQuery } from "@tanstack/react-query";
import type { Payment } from "../../api/client";
import { Card } from "../../components/card";
import { ErrorAlert } from "../../components/error-alert";
import { Deliveries } from "../webhooks/delivery-list";
import { paymentDeliveriesQuery } from "../webhooks/queries";

/** Whom it was told to that something became of a payment; nothing where nobody is to be told. */
export function Webhooks({ payment }: { payment: Payment }) {
  const { data, error, refetch } = useQuery(paymentDeliveriesQuery(payment.id));
  if (error) return <ErrorAlert error={error} retry={() => refetch()} />;
  if (!data || data.deliveries.length === 0) return null;
  return (
    <Card title="Webhooks">
      <Deliveries deliveries={data.deliveries} />
    </Card>
  );
}
