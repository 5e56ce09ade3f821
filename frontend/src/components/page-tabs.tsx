import { Link } from "@tanstack/react-router";

/** Links between pages that share an entry of the main navigation. */
export function PageTabs({ label, tabs }: { label: string; tabs: readonly [string, string][] }) {
  return (
    <nav aria-label={label} className="mb-4 flex w-fit rounded-lg bg-raised p-0.5 text-sm">
      {tabs.map(([to, name]) => (
        <Link
          key={to}
          to={to}
          activeOptions={{ exact: true, includeSearch: false }}
          className="rounded-md px-3 py-1.5 font-medium text-muted hover:text-foreground"
          activeProps={{ className: "bg-surface text-foreground! shadow-sm" }}
        >
          {name}
        </Link>
      ))}
    </nav>
  );
}
