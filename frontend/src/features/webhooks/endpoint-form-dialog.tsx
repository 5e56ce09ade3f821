import { type FormEventHandler, useState } from "react";
import { splitFieldErrors } from "../../api/api-error";
import { Field } from "../../components/field";
import { FormDialog } from "../../components/form-dialog";
import { EVENT_TYPES } from "./labels";
import type { EndpointFormValues, Subscription } from "./queries";

export const EMPTY: EndpointFormValues = { url: "", description: "", events: ["*"] };

/** The form for a new endpoint and for changes to one. */
export function EndpointFormDialog({
  title,
  submitLabel,
  initialValues,
  action,
  onClose,
}: {
  title: string;
  submitLabel: string;
  initialValues: EndpointFormValues;
  action: {
    submit: (values: EndpointFormValues) => FormEventHandler;
    error: Error | null;
    isPending: boolean;
  };
  onClose: () => void;
}) {
  const [values, setValues] = useState(initialValues);
  const { fieldErrors, other } = splitFieldErrors(action.error, EMPTY);
  return (
    <FormDialog
      title={title}
      onClose={onClose}
      onSubmit={action.submit(values)}
      isPending={action.isPending}
      error={other}
      submitLabel={submitLabel}
    >
      <Field label="URL" hint="A public HTTPS URL that accepts POST." error={fieldErrors.url}>
        {(inputProps) => (
          <input
            {...inputProps}
            required
            inputMode="url"
            autoComplete="off"
            spellCheck={false}
            placeholder="https://example.com/webhooks"
            value={values.url}
            onChange={(event) => setValues({ ...values, url: event.target.value })}
          />
        )}
      </Field>
      <Field label="Description" hint="Optional" error={fieldErrors.description}>
        {(inputProps) => (
          <input
            {...inputProps}
            autoComplete="off"
            value={values.description}
            onChange={(event) => setValues({ ...values, description: event.target.value })}
          />
        )}
      </Field>
      <EventsField
        events={values.events}
        error={fieldErrors.events}
        onChange={(events) => setValues({ ...values, events })}
      />
    </FormDialog>
  );
}

function EventsField({
  events,
  error,
  onChange,
}: {
  events: Subscription[];
  error: string | undefined;
  onChange: (events: Subscription[]) => void;
}) {
  const isAll = events.includes("*");
  const toggle = (event: Subscription) =>
    onChange(
      events.includes(event) ? events.filter((other) => other !== event) : [...events, event],
    );
  return (
    <fieldset>
      <legend className="mb-1 text-sm font-medium">Events</legend>
      {error && <p className="text-xs text-danger">{error}</p>}
      <label className="flex items-center gap-2.5 py-1 text-sm">
        <input
          type="checkbox"
          className="accent-accent"
          checked={isAll}
          onChange={() => onChange(isAll ? [] : ["*"])}
        />
        All events, including future types
      </label>
      <div className="grid sm:grid-cols-2">
        {EVENT_TYPES.map(([event, label]) => (
          <label key={event} className="flex items-center gap-2.5 py-1 text-sm">
            <input
              type="checkbox"
              className="accent-accent"
              disabled={isAll}
              checked={isAll || events.includes(event)}
              onChange={() => toggle(event)}
            />
            {label}
          </label>
        ))}
      </div>
    </fieldset>
  );
}
