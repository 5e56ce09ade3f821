import { useState } from "react";
import { splitFieldErrors } from "../../api/api-error";
import type { ApiKey, NewApiKey, Scope } from "../../api/client";
import { Field } from "../../components/field";
import { FormDialog } from "../../components/form-dialog";
import { SecretDialog } from "../../components/secret-dialog";
import { useAction } from "../../hooks/use-action";
import { createKey, type KeyFormValues, keysQuery, revokeKey, rollKey } from "./queries";

const SCOPES: readonly [scope: Scope, label: string, description: string][] = [
  ["read", "Read", "View payments and totals."],
  ["write", "Write", "Everything in Read, and create payments."],
  ["admin", "Admin", "Everything in Write, and manage keys and view request logs."],
];

const EMPTY: KeyFormValues = { name: "", scopes: ["read"], expires_at: null };

export function CreateKeyDialog({ onClose }: { onClose: () => void }) {
  const create = useAction(createKey, keysQuery.queryKey);
  const [values, setValues] = useState(EMPTY);
  if (create.data) return <KeySecretDialog apiKey={create.data} onClose={onClose} />;
  const { fieldErrors, other } = splitFieldErrors(create.error, { name: "", expires_at: "" });
  return (
    <FormDialog
      title="New API key"
      onClose={onClose}
      onSubmit={create.submit(values)}
      isPending={create.isPending}
      error={other}
      submitLabel="Create key"
    >
      <Field label="Name" hint="Shown in payment events and logs." error={fieldErrors.name}>
        {(inputProps) => (
          <input
            {...inputProps}
            required
            autoComplete="off"
            value={values.name}
            onChange={(event) => setValues({ ...values, name: event.target.value })}
          />
        )}
      </Field>
      <fieldset>
        <legend className="mb-1 text-sm font-medium">Access</legend>
        {SCOPES.map(([scope, label, description]) => (
          <label key={scope} className="flex items-start gap-2.5 py-1 text-sm">
            <input
              type="radio"
              name="scope"
              className="mt-1 accent-accent"
              checked={values.scopes[0] === scope}
              onChange={() => setValues({ ...values, scopes: [scope] })}
            />
            <span>
              {label} <span className="block text-xs text-muted">{description}</span>
            </span>
          </label>
        ))}
      </fieldset>
      <Field
        label="Expiry date"
        hint="Optional. The key is valid until the end of this day."
        error={fieldErrors.expires_at}
      >
        {(inputProps) => (
          <input
            {...inputProps}
            type="date"
            value={values.expires_at ?? ""}
            onChange={(event) => setValues({ ...values, expires_at: event.target.value || null })}
          />
        )}
      </Field>
    </FormDialog>
  );
}

export function RollKeyDialog({ apiKey, onClose }: { apiKey: ApiKey; onClose: () => void }) {
  const [hours, setHours] = useState("24");
  const roll = useAction(() => rollKey(apiKey.id, Number(hours)), keysQuery.queryKey);
  if (roll.data) return <KeySecretDialog apiKey={roll.data} onClose={onClose} />;
  return (
    <FormDialog
      title={`Roll ${apiKey.name}`}
      onClose={onClose}
      onSubmit={roll.submit(undefined)}
      isPending={roll.isPending}
      error={roll.error}
      submitLabel="Roll key"
    >
      <p className="text-sm">
        This creates a new key with the same name, access and expiry date. The old key stays valid
        for a while, so that you can switch without downtime.
      </p>
      <Field
        label="Hours until the old key expires"
        hint="From 0 to 168. You can roll a key only once."
      >
        {(inputProps) => (
          <input
            {...inputProps}
            type="number"
            min={0}
            max={168}
            required
            value={hours}
            onChange={(event) => setHours(event.target.value)}
          />
        )}
      </Field>
    </FormDialog>
  );
}

export function RevokeKeyDialog({ apiKey, onClose }: { apiKey: ApiKey; onClose: () => void }) {
  const revoke = useAction(() => revokeKey(apiKey.id), keysQuery.queryKey, onClose);
  return (
    <FormDialog
      title={`Revoke ${apiKey.name}?`}
      onClose={onClose}
      onSubmit={revoke.submit(undefined)}
      isPending={revoke.isPending}
      error={revoke.error}
      submitLabel="Revoke key"
      danger
    >
      <p className="text-sm">
        Requests with this key will be rejected within a minute. You can't undo this.
      </p>
    </FormDialog>
  );
}

function KeySecretDialog({ apiKey, onClose }: { apiKey: NewApiKey; onClose: () => void }) {
  return (
    <SecretDialog
      title={`New key: ${apiKey.name}`}
      secret={apiKey.key}
      label="API key"
      onClose={onClose}
    >
      Copy this key now and store it safely. You won't be able to see it again.
    </SecretDialog>
  );
}
