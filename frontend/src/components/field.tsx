import { type ReactNode, useId } from "react";

const INPUT =
  "w-full min-h-9 rounded-lg border bg-surface px-3 py-1.5 text-sm text-foreground placeholder:text-muted";

/** For inputs that stand by themselves. */
export const inputClass = (wrong = false) =>
  `${INPUT} ${wrong ? "border-danger" : "border-border"}`;

type InputProps = {
  id: string;
  className: string;
  "aria-invalid": boolean;
  "aria-describedby": string | undefined;
};

/** A label, an input and what is to be said of it, tied together for those who listen to a page. */
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
  const said = error ?? hint;
  return (
    <div>
      <label htmlFor={id} className="mb-1 block text-sm font-medium">
        {label}
      </label>
      {children({
        id,
        className: inputClass(error !== undefined),
        "aria-invalid": error !== undefined,
        "aria-describedby": said ? `${id}-said` : undefined,
      })}
      {said && (
        <p id={`${id}-said`} className={`mt-1 text-xs ${error ? "text-danger" : "text-muted"}`}>
          {said}
        </p>
      )}
    </div>
  );
}
