import { type ReactNode, useId } from "react";

const INPUT =
  "w-full min-h-9 rounded-lg border bg-surface px-3 py-1.5 text-sm text-foreground placeholder:text-muted";

/** Class names of an input. */
export const inputClass = (invalid = false) =>
  `${INPUT} ${invalid ? "border-danger" : "border-border"}`;

type InputProps = {
  id: string;
  className: string;
  "aria-invalid": boolean;
  "aria-describedby": string | undefined;
};

/** A label, an input, and a hint or error, linked for screen readers. */
export function Field({
  label,
  hint,
  error,
  children,
}: {
  label: string;
  hint?: ReactNode;
  error?: string | undefined;
  children: (inputProps: InputProps) => ReactNode;
}) {
  const id = useId();
  const message = error ?? hint;
  return (
    <div>
      <label htmlFor={id} className="mb-1 block text-sm font-medium">
        {label}
      </label>
      {children({
        id,
        className: inputClass(error !== undefined),
        "aria-invalid": error !== undefined,
        "aria-describedby": message ? `${id}-message` : undefined,
      })}
      {message && (
        <p id={`${id}-message`} className={`mt-1 text-xs ${error ? "text-danger" : "text-muted"}`}>
          {message}
        </p>
      )}
    </div>
  );
}
