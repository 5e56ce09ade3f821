import { useQuery } from "@tanstack/react-query";
import type { Payment } from "../../api/client";
import { Card } from "../../components/card";
import { CopyButton } from "../../components/copy-button";
import { ErrorAlert } from "../../components/error-alert";
import { paymentRefundsQuery } from "./queries";
import { refundableAmount } from "./refund-form";
import { RefundRow } from "./refund-row";

/** The refunds of a payment, newest first. Renders nothing if there is none. */
export function RefundsCard({ payment }: { payment: Payment }) {
  const { data, error, refetch } = useQuery(paymentRefundsQuery(payment));
  if (error) return <ErrorAlert error={error} retry={() => refetch()} />;
  if (!data || data.length === 0) return null;
  return (
    <Card title="Refunds">
      <ul className="divide-y divide-border text-sm">
        {data.toReversed().map((refund) => (
          <RefundRow
            key={refund.id}
            refund={refund}
            end={
              <>
                {refund.id}
                <CopyButton text={refund.id} label="refund ID" />
              </>
            }
            hint={refundableAmount(payment) > 0 ? "You can refund this amount again." : ""}
          />
        ))}
      </ul>
    </Card>
  );
}
