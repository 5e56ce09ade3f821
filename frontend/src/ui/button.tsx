import type { ButtonHTMLAttributes, ReactNode } from "react";

const BASE =
  "inline-flex min-h-9 items-center justify-center gap-1.5 rounded-lg px-3.5 py-1.5 text-sm " +
  "font-medium whitespace-nowrap transition-colors disabled:cursor-not-allowed disabled:opacity-50";

export const LOOKS = {
  primary: `${BASE} bg-accent text-accent-ink hover:opacity-90`,
  plain: `${BASE} border border-line bg-surface text-ink hover:bg-raised`,
  quiet: `${BASE} text-muted hover:bg-raised hover:text-ink`,
  danger: `${BASE} border border-line bg-surface text-bad hover:bg-bad-ground`,
} as const;

type Props = ButtonHTMLAttributes<HTMLButtonElement> & {
  look?: keyof typeof LOOKS;
  children: ReactNode;
};

export function Button({ look = "plain", type = "button", className = "", ...rest }: Props) {
  return <button type={type} className={`${LOOKS[look]} ${className}`} {...rest} />;
}
