import { useQuery } from "@tanstack/react-query";
import type { Payment } from "../../api/client";
import { Card } from "../../ui/card";
import { ProblemNote } from "../../ui/problem-note";
import { Deliveries } from "../webhooks/deliveries";
import { deliveriesOfPayment } from "../webhooks/queries";

/** Whom it was told to that something became of a payment; nothing where nobody is to be told. */
export function Webhooks({ payment }: { payment: Payment }) {
  const { data, error, refetch } = useQuery(deliveriesOfPayment(payment.id));
  if (error) return <ProblemNote error={error} retry={() => refetch()} />;
  if (!data || data.deliveries.length === 0) return null;
  return (
    <Card title="Webhooks">
      <Deliveries deliveries={data.deliveries} />
    </Card>
  );
}
