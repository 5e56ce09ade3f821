import type { Payment } from "../../api/client";

/** The payment as the API writes it: `JSON.parse` drops the trailing zeros of an amount. */
export function toPaymentJson(payment: Payment): string {
  return JSON.stringify(payment, null, 2).replace(
    /^( {2}"amount(?:_refunded|_returned)?": )([\d.]+)/gm,
    (_, name: string, amount: string) => name + Number(amount).toFixed(2),
  );
}
