import { type ReactNode, useEffect, useRef } from "react";

let isFirstPage = true;

/**
 * A page's heading. It takes the focus when the page was gone to, so that who does not see the
 * page hears which one it is; not on the first, where the browser reads from the top anyway.
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
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    if (!isFirstPage) heading.current?.focus();
    isFirstPage = false;
  }, []);
  useEffect(() => {
    document.title = `${title} · PayFlow`;
  }, [title]);
  return (
    <header className="mb-5 flex flex-wrap items-center justify-between gap-3">
      <h1 ref={heading} tabIndex={-1} className="min-w-0 text-2xl font-semibold tracking-tight">
        {children ?? title}
      </h1>
      {actions && <div className="flex flex-wrap gap-2">{actions}</div>}
    </header>
  );
}
