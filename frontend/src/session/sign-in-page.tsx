import { type FormEvent, useState } from "react";
import { Button } from "../components/button";
import { Field } from "../components/field";
import { PageTitle } from "../components/page-title";
import { getApiKey, setApiKey } from "./key";

/** What a header can carry: quotes that a text editor made round, for one, are not in it. */
const KEY = /^[!-~]+$/;

/** Asks for an API key; `refused` when the one that was held is good no longer. */
export function SignInPage({
  refused,
  busy,
  again,
}: {
  refused: boolean;
  busy: boolean;
  again: () => void;
}) {
  const [key, setKey] = useState("");
  const [isNoKey, setNoKey] = useState(false);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    const typed = key.trim();
    setNoKey(!KEY.test(typed));
    if (!KEY.test(typed)) return;
    if (typed === getApiKey()) again();
    else setApiKey(typed);
  };
  const wrong = refused ? "This key is not known, or it was revoked or has expired." : undefined;
  return (
    <main className="flex min-h-dvh items-center justify-center p-4">
      <form
        onSubmit={submit}
        className="w-full max-w-sm rounded-2xl border border-border bg-surface p-6 shadow-sm"
      >
        <img src="/icon.svg" alt="" className="mb-4 size-10" />
        <PageTitle title="Sign in" />
        <Field
          label="API key"
          hint="It starts with pf_ and is kept for this tab only."
          error={isNoKey ? "A key has letters, digits and _ only." : wrong}
        >
          {(inputProps) => (
            <input
              {...inputProps}
              type="password"
              autoComplete="off"
              spellCheck={false}
              required
              value={key}
              onChange={(event) => setKey(event.target.value)}
            />
          )}
        </Field>
        <Button type="submit" variant="primary" className="mt-4 w-full" disabled={busy}>
          Sign in
        </Button>
      </form>
    </main>
  );
}
