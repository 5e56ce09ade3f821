const DAY = /^[1-9]\d{3}-\d{2}-\d{2}$/;

/** A day that exists, as a date field and an address have it. */
export function isValidDate(text: string): boolean {
  const midnight = new Date(`${text}T00:00:00Z`);
  return (
    DAY.test(text) && !Number.isNaN(midnight.getTime()) && midnight.toISOString().startsWith(text)
  );
}

/** The viewer's own. */
export function today(now = new Date()): string {
  const [month, day] = [now.getMonth() + 1, now.getDate()].map((part) =>
    String(part).padStart(2, "0"),
  );
  return `${now.getFullYear()}-${month}-${day}`;
}

/** The first moment of a day of the viewer's; where the clocks change at midnight, the earlier. */
export const startOfDay = (day: string) => midnight(day, 0).toISOString();

/** The last one, to the microsecond that the API counts in. */
export function endOfDay(day: string): string {
  const next = midnight(day, 1).getTime();
  return new Date(next - 1).toISOString().replace("Z", "999Z");
}

function midnight(day: string, later: number): Date {
  const [year = 0, month = 0, date = 0] = day.split("-").map(Number);
  return new Date(year, month - 1, date + later);
}
