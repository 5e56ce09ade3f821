import type { components } from "../../api/schema";
import { Time } from "../../components/time";
import { failureMessage } from "./labels";

export type Refund = components["schemas"]["Refund"];

/** Why a refund was made, when its outcome is expected, and why it failed or came back. */
export function RefundNotes({ refund, hint = "" }: { refund: Refund; hint?: string }) {
  return (
    <>
      {refund.reason && <p className="break-words text-muted">{refund.reason}</p>}
      {refund.expected_at && (
        <p className="text-muted">
          Outcome expected <Time at={refund.expected_at} format="exact" />
        </p>
      )}
      {refund.failure_code && (
        <p className="text-danger">
          <code className="font-mono">{refund.bank_code ?? refund.failure_code}</code>{" "}
          {failureMessage(refund.failure_code)} {hint}
        </p>
      )}
    </>
  );
}
