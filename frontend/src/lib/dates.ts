const DATE = /^[1-9]\d{3}-\d{2}-\d{2}$/;

/** Whether a text is a date that exists, in the form of a date input: `2026-11-24`. */
export function isValidDate(text: string): boolean {
  const midnight = new Date(`${text}T00:00:00Z`);
  return (
    DATE.test(text) && !Number.isNaN(midnight.getTime()) && midnight.toISOString().startsWith(text)
  );
}

/** Today in the viewer's time zone. */
export function today(now = new Date()): string {
  const [month, day] = [now.getMonth() + 1, now.getDate()].map((part) =>
    String(part).padStart(2, "0"),
  );
  return `${now.getFullYear()}-${month}-${day}`;
}

/** The first instant of a date in the viewer's time zone, even if clocks change at midnight. */
export const startOfDay = (date: string) => midnight(date, 0).toISOString();

/** The last instant of a date, to the microsecond, which is the API's precision. */
export function endOfDay(date: string): string {
  const nextDay = midnight(date, 1).getTime();
  return new Date(nextDay - 1).toISOString().replace("Z", "999Z");
}

function midnight(date: string, daysLater: number): Date {
  const [year = 0, month = 0, day = 0] = date.split("-").map(Number);
  return new Date(year, month - 1, day + daysLater);
}
