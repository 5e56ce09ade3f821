import type { ButtonHTMLAttributes } from "react";

const BASE =
  "inline-flex min-h-9 items-center justify-center gap-1.5 rounded-lg px-3.5 py-1.5 text-sm " +
  "font-medium whitespace-nowrap transition-colors disabled:cursor-not-allowed disabled:opacity-50";

/** Class names, for links that look like buttons. */
export const BUTTON_VARIANTS = {
  primary: `${BASE} bg-accent text-accent-foreground hover:opacity-90`,
  secondary: `${BASE} border border-border bg-surface text-foreground hover:bg-raised`,
  ghost: `${BASE} text-muted hover:bg-raised hover:text-foreground`,
  danger: `${BASE} border border-border bg-surface text-danger hover:bg-danger-subtle`,
} as const;

type Props = ButtonHTMLAttributes<HTMLButtonElement> & { variant?: keyof typeof BUTTON_VARIANTS };

export function Button({ variant = "secondary", type = "button", className = "", ...rest }: Props) {
  return <button type={type} className={`${BUTTON_VARIANTS[variant]} ${className}`} {...rest} />;
}
