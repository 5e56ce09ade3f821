import { type ReactNode, useId } from "react";

/** A part of a page, with its name. */
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
  const heading = useId();
  return (
    <section
      aria-labelledby={heading}
      className={`self-start overflow-hidden rounded-xl border border-border bg-surface ${className}`}
    >
      <div className="flex min-h-11 items-center justify-between border-b border-border px-4 py-1.5">
        <h2 id={heading} className="text-sm font-semibold">
          {title}
        </h2>
        {action}
      </div>
      {children}
    </section>
  );
}
