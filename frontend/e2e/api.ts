import { expect } from "@playwright/test";

export const site = () => process.env.PAYFLOW_E2E_SITE ?? "";
export const api = () => process.env.PAYFLOW_E2E_API ?? "";

export type NewPayment = {
  merchant: string;
  simulate?: string;
  simulateRefund?: string;
  amount?: string;
  direction?: string;
};

/** Create a payment through the API, without the dashboard. */
export async function createPayment({
  merchant,
  simulate = "completed",
  simulateRefund,
  amount = "12.50",
  direction = "debit",
}: NewPayment) {
  const response = await fetch(`${api()}/v1/payments`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({
      merchant,
      amount,
      currency: "CAD",
      type: "eft",
      direction,
      idempotency_key: crypto.randomUUID(),
      metadata: { simulate, ...(simulateRefund && { simulate_refund: simulateRefund }) },
    }),
  });
  expect(response.status).toBe(201);
  return (await response.json()) as { id: string };
}
