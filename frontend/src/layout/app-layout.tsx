import { Link, Outlet, useLocation } from "@tanstack/react-router";
import {
  BookOpen,
  ChartColumn,
  CreditCard,
  KeyRound,
  LogOut,
  type LucideIcon,
  Plus,
  ScrollText,
  Webhook,
} from "lucide-react";
import { BUTTON_VARIANTS, Button } from "../components/button";
import { DisabledBanner } from "../features/webhooks/disabled-banner";
import type { Access } from "../session/access";
import { clearApiKey } from "../session/key";
import { ThemeSwitch } from "./theme-switch";

const NAV_ITEMS: { to: string; also?: string[]; label: string; icon: LucideIcon }[] = [
  { to: "/", label: "Overview", icon: ChartColumn },
  { to: "/payments", also: ["/refunds", "/exports"], label: "Payments", icon: CreditCard },
  { to: "/webhooks", label: "Webhooks", icon: Webhook },
  { to: "/logs", also: ["/audit"], label: "Logs", icon: ScrollText },
  { to: "/keys", label: "API keys", icon: KeyRound },
  { to: "/reference", label: "Reference", icon: BookOpen },
];

const ACTIVE = "bg-raised text-foreground!";

/** The frame of every page: navigation, theme and sign-out. */
export function AppLayout({ access }: { access: Access }) {
  const path = useLocation({ select: ({ pathname }) => pathname });
  return (
    <div className="min-h-dvh md:grid md:grid-cols-[15rem_1fr]">
      <a
        href="#main"
        className="sr-only rounded-lg bg-accent px-4 py-2 text-accent-foreground focus:not-sr-only focus:absolute focus:z-20 focus:m-2"
      >
        Skip to content
      </a>
      <header className="flex flex-wrap items-center gap-x-4 gap-y-2 border-b border-border bg-surface px-4 py-3 md:sticky md:top-0 md:h-dvh md:flex-col md:flex-nowrap md:items-stretch md:gap-6 md:border-r md:border-b-0 md:p-5">
        <Link to="/" className="flex items-center gap-2.5 font-semibold">
          <img src="/icon.svg" alt="" className="size-7" />
          PayFlow
        </Link>
        <Link
          to="/payments/new"
          className={`${BUTTON_VARIANTS.primary} max-md:order-2 max-md:ml-auto`}
        >
          <Plus className="size-4" aria-hidden="true" />
          New payment
        </Link>
        <nav aria-label="Main" className="max-md:order-3 max-md:-mx-2 max-md:w-[calc(100%+1rem)]">
          <ul className="flex gap-1 md:flex-col">
            {NAV_ITEMS.map(({ to, also = [], label, icon: Icon }) => (
              <li key={to} className="max-md:min-w-0 max-md:flex-1">
                <Link
                  to={to}
                  activeOptions={{ exact: to === "/", includeSearch: false }}
                  className={`flex items-center gap-2.5 rounded-lg px-3 py-2 text-sm font-medium whitespace-nowrap text-muted hover:bg-raised hover:text-foreground max-md:flex-col max-md:gap-1 max-md:px-0 max-md:py-1.5 max-md:text-[0.6875rem] ${also.includes(path) ? ACTIVE : ""}`}
                  activeProps={{ className: ACTIVE }}
                >
                  <Icon className="size-4" aria-hidden="true" />
                  {label}
                </Link>
              </li>
            ))}
          </ul>
        </nav>
        <div className="flex items-center gap-2 max-md:order-3 max-md:w-full md:mt-auto md:flex-col md:items-stretch">
          {access === "open" ? (
            <p className="rounded-lg bg-warning-subtle px-3 py-2 text-xs text-warning">
              Authentication is off. Anyone who can reach this API has full access.
            </p>
          ) : (
            <Button variant="ghost" onClick={clearApiKey} className="md:justify-start">
              <LogOut className="size-4" aria-hidden="true" />
              Sign out
            </Button>
          )}
          <ThemeSwitch />
        </div>
      </header>
      <main id="main" className="mx-auto w-full max-w-6xl min-w-0 px-4 py-6 md:px-8 md:py-8">
        <DisabledBanner />
        <Outlet />
      </main>
    </div>
  );
}
