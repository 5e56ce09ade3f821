/** An amount in its currency, as the viewer writes it. Amounts of two currencies never meet. */
export function formatMoney(amount: number, currency: string): string {
  return new Intl.NumberFormat(undefined, { style: "currency", currency }).format(amount);
}

/** Whole toCents, so that sums stay exact; every currency of the API has two decimals. */
export const toCents = (amount: number) => Math.round(amount * 100);
