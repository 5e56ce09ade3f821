import { useState } from "react";
import { ApiError } from "../../api/api-error";
import type { ApiKey, NewApiKey, Scope } from "../../api/client";
import { Dialog, DialogButtons } from "../../components/dialog";
import { ErrorAlert } from "../../components/error-alert";
import { Field } from "../../components/field";
import { SecretDialog } from "../../components/secret-dialog";
import { useAction } from "../../hooks/use-action";
import { createKey, keysQuery, type NewKey, revokeKey, rollKey } from "./queries";

const SCOPES: readonly [Scope, string, string][] = [
  ["read", "Read", "See payments and totals."],
  ["write", "Write", "Make payments as well."],
  ["admin", "Admin", "Manage keys and read the request log as well."],
];

const isShown = (field: string) => field === "name" || field === "expires_at";

export function CreateDialog({ close }: { close: () => void }) {
  const create = useAction(createKey, keysQuery.queryKey);
  const [wish, setWish] = useState<NewKey>({ name: "", scopes: ["read"], expires_at: null });
  if (create.data) return <Shown made={create.data} close={close} />;
  const told = create.error instanceof ApiError ? create.error.fields : [];
  const said = (field: string) => told.find((one) => one.field === field)?.message;
  return (
    <Dialog title="New API key" close={close} busy={create.isPending}>
      <form onSubmit={create.submit(wish)} className="space-y-4">
        <Field label="Name" hint="Events and logs name it." error={said("name")}>
          {(inputProps) => (
            <input
              {...inputProps}
              required
              autoComplete="off"
              value={wish.name}
              onChange={(event) => setWish({ ...wish, name: event.target.value })}
            />
          )}
        </Field>
        <fieldset>
          <legend className="mb-1 text-sm font-medium">What it may do</legend>
          {SCOPES.map(([scope, name, says]) => (
            <label key={scope} className="flex items-start gap-2.5 py-1 text-sm">
              <input
                type="radio"
                name="scope"
                className="mt-1 accent-accent"
                checked={wish.scopes[0] === scope}
                onChange={() => setWish({ ...wish, scopes: [scope] })}
              />
              <span>
                {name} <span className="block text-xs text-muted">{says}</span>
              </span>
            </label>
          ))}
        </fieldset>
        <Field label="Last day" hint="Empty: until it is revoked." error={said("expires_at")}>
          {(inputProps) => (
            <input
              {...inputProps}
              type="date"
              value={wish.expires_at ?? ""}
              onChange={(event) => setWish({ ...wish, expires_at: event.target.value || null })}
            />
          )}
        </Field>
        {create.error && !told.some(({ field }) => isShown(field)) && (
          <ErrorAlert error={create.error} />
        )}
        <DialogButtons close={close} busy={create.isPending} action="Make the key" />
      </form>
    </Dialog>
  );
}

export function RollDialog({ rolled, close }: { rolled: ApiKey; close: () => void }) {
  const [hours, setHours] = useState("24");
  const roll = useAction(() => rollKey(rolled.id, Number(hours)), keysQuery.queryKey);
  if (roll.data) return <Shown made={roll.data} close={close} />;
  return (
    <Dialog title={`Roll ${rolled.name}`} close={close} busy={roll.isPending}>
      <form onSubmit={roll.submit(undefined)} className="space-y-4">
        <p className="text-sm">
          A new key takes its place, with the same name, scopes and expiry. The old one works for as
          long as you say, so that nothing stops while you change over.
        </p>
        <Field label="Hours that the old one works on" hint="0 to 168. A key is rolled once.">
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
        {roll.error && <ErrorAlert error={roll.error} />}
        <DialogButtons close={close} busy={roll.isPending} action="Roll the key" />
      </form>
    </Dialog>
  );
}

export function RevokeDialog({ revoked, close }: { revoked: ApiKey; close: () => void }) {
  const revoke = useAction(() => revokeKey(revoked.id), keysQuery.queryKey, close);
  return (
    <Dialog title={`Revoke ${revoked.name}`} close={close} busy={revoke.isPending}>
      <form onSubmit={revoke.submit(undefined)} className="space-y-4">
        <p className="text-sm">
          Whoever uses this key is shut out within a minute, and for good. It cannot be undone.
        </p>
        {revoke.error && <ErrorAlert error={revoke.error} />}
        <DialogButtons close={close} busy={revoke.isPending} action="Revoke the key" danger />
      </form>
    </Dialog>
  );
}

function Shown({ made, close }: { made: NewApiKey; close: () => void }) {
  return (
    <SecretDialog title={`The key of ${made.name}`} secret={made.key} what="the key" close={close}>
      It is shown this once. Keep it where secrets are kept; here only its fingerprint is.
    </SecretDialog>
  );
}
