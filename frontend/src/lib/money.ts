/** Format an amount in the viewer's locale. Never add amounts of different currencies. */
export function formatMoney(amount: number, currency: string): string {
  return new Intl.NumberFormat(undefined, { style: "currency", currency }).format(amount);
}

/** Whole cents, so that sums stay exact. Every currency of the API has two decimals. */
export const toCents = (amount: number) => Math.round(amount * 100);
