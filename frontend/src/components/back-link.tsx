import { Link } from "@tanstack/react-router";
import { ChevronLeft } from "lucide-react";

/** A link from a detail page back to its list. */
export function BackLink({ to, children }: { to: "/payments" | "/webhooks"; children: string }) {
  return (
    <Link
      to={to}
      className="mb-3 inline-flex items-center gap-1 text-sm text-muted hover:text-foreground"
    >
      <ChevronLeft className="size-4" aria-hidden="true" />
      {children}
    </Link>
  );
}
