import { Link, Outlet } from "@tanstack/react-router";
import {
  BookOpen,
  ChartColumn,
  CreditCard,
  KeyRound,
  LogOut,
  type LucideIcon,
  Monitor,
  Moon,
  Plus,
  ScrollText,
  Sun,
  Webhook,
} from "lucide-react";
import { BUTTON_VARIANTS, Button } from "../components/button";
import { DisabledBanner } from "../features/webhooks/disabled-banner";
import type { Access } from "../session/access";
import { clearApiKey } from "../session/key";
import { THEMES, type Theme, useTheme } from "./theme";

const PLACES: { to: string; label: string; icon: LucideIcon }[] = [
  { to: "/", label: "Overview", icon: ChartColumn },
  { to: "/payments", label: "Payments", icon: CreditCard },
  { to: "/webhooks", label: "Webhooks", icon: Webhook },
  { to: "/logs", label: "Logs", icon: ScrollText },
  { to: "/keys", label: "API keys", icon: KeyRound },
  { to: "/reference", label: "Reference", icon: BookOpen },
];

/** What surrounds every page. */
export function AppLayout({ access }: { access: Access }) {
  return (
    <div className="min-h-dvh md:grid md:grid-cols-[15rem_1fr]">
      <a
        href="#main"
        className="sr-only rounded-lg bg-accent px-4 py-2 text-accent-foreground focus:not-sr-only focus:absolute focus:z-20 focus:m-2"
      >
        Skip to the page
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
        <nav aria-label="Pages" className="max-md:order-3 max-md:-mx-2 max-md:w-[calc(100%+1rem)]">
          <ul className="flex gap-1 md:flex-col">
            {PLACES.map(({ to, label, icon: Icon }) => (
              <li key={to} className="max-md:min-w-0 max-md:flex-1">
                <Link
                  to={to}
                  activeOptions={{ exact: to === "/", includeSearch: false }}
                  className="flex items-center gap-2.5 rounded-lg px-3 py-2 text-sm font-medium whitespace-nowrap text-muted hover:bg-raised hover:text-foreground max-md:flex-col max-md:gap-1 max-md:px-0 max-md:py-1.5 max-md:text-[0.6875rem]"
                  activeProps={{ className: "bg-raised text-foreground!" }}
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
              This API is open: whoever reaches it may do everything.
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

const ICONS: Record<Theme, LucideIcon> = { system: Monitor, light: Sun, dark: Moon };
const NAMES: Record<Theme, string> = { system: "As the system", light: "Light", dark: "Dark" };

function ThemeSwitch() {
  const [theme, choose] = useTheme();
  return (
    <fieldset className="flex rounded-lg bg-raised p-0.5 max-md:ml-auto">
      <legend className="sr-only">Colours</legend>
      {THEMES.map((one) => {
        const Icon = ICONS[one];
        return (
          <label
            key={one}
            title={NAMES[one]}
            className="flex flex-1 cursor-pointer justify-center rounded-md px-3 py-1.5 text-muted has-checked:bg-surface has-checked:text-foreground has-focus-visible:outline-2 has-focus-visible:outline-accent"
          >
            <input
              type="radio"
              name="theme"
              className="sr-only"
              checked={theme === one}
              onChange={() => choose(one)}
            />
            <Icon className="size-4" aria-hidden="true" />
            <span className="sr-only">{NAMES[one]}</span>
          </label>
        );
      })}
    </fieldset>
  );
}
