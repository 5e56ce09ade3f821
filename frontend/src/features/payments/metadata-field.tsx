import { Plus, X } from "lucide-react";
import { useId } from "react";
import { Button } from "../../components/button";
import { inputClass } from "../../components/field";
import type { PaymentFormValues } from "./payment-form";

type Entries = PaymentFormValues["metadata"];

/** An editable list of keys and values. */
export function MetadataField({
  entries,
  error,
  onChange,
}: {
  entries: Entries;
  error: string | undefined;
  onChange: (entries: Entries) => void;
}) {
  const messageId = useId();
  const nextId = Math.max(0, ...entries.map(({ id }) => id)) + 1;
  const update = (id: number, changes: { key?: string; value?: string }) =>
    onChange(entries.map((entry) => (entry.id === id ? { ...entry, ...changes } : entry)));
  return (
    <fieldset aria-describedby={messageId}>
      <legend className="mb-1 text-sm font-medium">Metadata</legend>
      <p id={messageId} className={`mb-2 text-xs ${error ? "text-danger" : "text-muted"}`}>
        {error ?? (
          <>
            Optional keys and values of your own. If simulation is enabled, the key{" "}
            <code>simulate</code> sets the outcome: <code>completed</code>,{" "}
            <code>failed:insufficient_funds</code>, <code>pending</code> or{" "}
            <code>submitted:60</code> (known after 60 seconds).
          </>
        )}
      </p>
      <ul className="space-y-2">
        {entries.map(({ id, key, value }, index) => {
          const isInvalid = error !== undefined && !key;
          return (
            <li key={id} className="flex gap-2">
              <input
                aria-label={`Key ${index + 1}`}
                aria-invalid={isInvalid}
                className={`${inputClass(isInvalid)} font-mono`}
                placeholder="key"
                value={key}
                onChange={(event) => update(id, { key: event.target.value })}
              />
              <input
                aria-label={`Value ${index + 1}`}
                className={`${inputClass()} font-mono`}
                placeholder="value"
                value={value}
                onChange={(event) => update(id, { value: event.target.value })}
              />
              <Button
                variant="ghost"
                aria-label={`Remove entry ${index + 1}`}
                onClick={() => onChange(entries.filter((entry) => entry.id !== id))}
              >
                <X className="size-4" aria-hidden="true" />
              </Button>
            </li>
          );
        })}
      </ul>
      <Button
        variant="ghost"
        className="mt-1"
        onClick={() => onChange([...entries, { id: nextId, key: "", value: "" }])}
      >
        <Plus className="size-4" aria-hidden="true" />
        Add entry
      </Button>
    </fieldset>
  );
}
