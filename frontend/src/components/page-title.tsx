import { type ReactNode, useEffect, useRef } from "react";

let isFirstPage = true;

/**
 * The heading of a page. It takes the focus after navigation, so that a screen reader announces the
 * new page; not on the first page, which the browser reads from the top anyway.
 */
export function PageTitle({
  children,
  title,
  actions,
}: {
  children?: ReactNode;
  title: string;
  actions?: ReactNode;
}) {
  const headingRef = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    if (!isFirstPage) headingRef.current?.focus();
    isFirstPage = false;
  }, []);
  useEffect(() => {
    document.title = `${title} · PayFlow`;
  }, [title]);
  return (
    <header className="mb-5 flex flex-wrap items-center justify-between gap-3">
      <h1 ref={headingRef} tabIndex={-1} className="min-w-0 text-2xl font-semibold tracking-tight">
        {children ?? title}
      </h1>
      {actions && <div className="flex flex-wrap gap-2">{actions}</div>}
    </header>
  );
}
