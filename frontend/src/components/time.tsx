const SHORT = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const EXACT = new Intl.DateTimeFormat(undefined, {
  dateStyle: "full",
  timeStyle: "long",
});

const CLOCK = new Intl.DateTimeFormat(undefined, {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
});

/** What happened lately: the time of day will do. */
export function ClockTime({ at }: { at: string }) {
  const moment = new Date(at);
  return (
    <time dateTime={at} title={EXACT.format(moment)}>
      {CLOCK.format(moment)}
    </time>
  );
}

/** A moment in the viewer's own time zone; all of it on hovering. */
export function Time({ at, exact = false }: { at: string; exact?: boolean }) {
  const moment = new Date(at);
  return (
    <time dateTime={at} title={EXACT.format(moment)}>
      {exact
        ? new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "long" }).format(
            moment,
          )
        : SHORT.format(moment)}
    </time>
  );
}
