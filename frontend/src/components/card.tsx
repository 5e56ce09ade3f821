import { type ReactNode, useId } from "react";

/** A titled section of a page. */
export function Card({
  title,
  action,
  className = "",
  children,
}: {
  title: string;
  className?: string;
  action?: ReactNode;
  children: ReactNode;
}) {
  const headingId = useId();
  return (
    <section
      aria-labelledby={headingId}
      className={`self-start overflow-hidden rounded-xl border border-border bg-surface ${className}`}
    >
      <div className="flex min-h-11 items-center justify-between border-b border-border px-4 py-1.5">
        <h2 id={headingId} className="text-sm font-semibold">
          {title}
        </h2>
        {action}
      </div>
      {children}
    </section>
  );
}
