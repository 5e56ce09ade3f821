const CLOCK = new Intl.DateTimeFormat(undefined, {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
});
const SHORT = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const EXACT = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "long" });
const TOOLTIP = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "long" });

const FORMATS = { clock: CLOCK, short: SHORT, exact: EXACT };

/** A timestamp in the viewer's time zone, with the full date and time as its tooltip. */
export function Time({ at, format = "short" }: { at: string; format?: keyof typeof FORMATS }) {
  const date = new Date(at);
  return (
    <time dateTime={at} title={TOOLTIP.format(date)}>
      {FORMATS[format].format(date)}
    </time>
  );
}
