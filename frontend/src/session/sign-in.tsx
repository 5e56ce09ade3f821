import { type FormEvent, useState } from "react";
import { Button } from "../ui/button";
import { Field } from "../ui/field";
import { PageTitle } from "../ui/page-title";
import { heldKey, holdKey } from "./key";

/** What a header can carry: quotes that a text editor made round, for one, are not in it. */
const KEY = /^[!-~]+$/;

/** Asks for an API key; `refused` when the one that was held is good no longer. */
export function SignIn({
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
    if (typed === heldKey()) again();
    else holdKey(typed);
  };
  const wrong = refused ? "This key is not known, or it was revoked or has expired." : undefined;
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
          error={isNoKey ? "A key has letters, digits and _ only." : wrong}
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
