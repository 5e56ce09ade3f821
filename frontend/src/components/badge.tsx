import type { LucideIcon } from "lucide-react";

const TONES = {
  success: "bg-success-subtle text-success",
  warning: "bg-warning-subtle text-warning",
  danger: "bg-danger-subtle text-danger",
  neutral: "bg-neutral-subtle text-neutral",
} as const;

export type BadgeProps = {
  label: string;
  tone: keyof typeof TONES;
  icon: LucideIcon;
  spinning?: boolean;
};

/** A status as a coloured pill: an icon and a word, so that colour is never the only sign. */
export function Badge({ label, tone, icon: Icon, spinning = false }: BadgeProps) {
  return (
    <span
      className={`inline-flex items-center gap-1.5 rounded-full px-2.5 py-0.5 text-xs font-medium whitespace-nowrap ${TONES[tone]}`}
    >
      <Icon className={`size-3.5 ${spinning ? "animate-spin" : ""}`} aria-hidden="true" />
      {label}
    </span>
  );
}
