const SHORT = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const EXACT = new Intl.DateTimeFormat(undefined, {
  dateStyle: "full",
  timeStyle: "long",
});

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
