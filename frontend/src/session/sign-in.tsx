import { type FormEvent, useState } from "react";
import { Button } from "../ui/button";
import { Field } from "../ui/field";
import { PageTitle } from "../ui/page-title";
import { holdKey } from "./key";

/** Asks for an API key; `refused` when the one that was held is good no longer. */
export function SignIn({ refused, busy }: { refused: boolean; busy: boolean }) {
  const [key, setKey] = useState("");
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (key.trim()) holdKey(key.trim());
  };
  return (
    <main className="flex min-h-dvh items-center justify-center p-4">
      <form
        onSubmit={submit}
        className="w-full max-w-sm rounded-2xl border border-line bg-surface p-6 shadow-sm"
      >
        <img src="/icon.svg" alt="" className="mb-4 size-10" />
        <PageTitle title="Sign in" />
        <Field
          label="API key"
          hint="It starts with pf_ and is kept for this tab only."
          error={refused ? "This key is not known, or it was revoked or has expired." : undefined}
        >
          {(wiring) => (
            <input
              {...wiring}
              type="password"
              autoComplete="off"
              spellCheck={false}
              required
              value={key}
              onChange={(event) => setKey(event.target.value)}
            />
          )}
        </Field>
        <Button type="submit" look="primary" className="mt-4 w-full" disabled={busy}>
          Sign in
        </Button>
      </form>
    </main>
  );
}
