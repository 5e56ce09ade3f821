import { type FormEvent, useState } from "react";
import { Button } from "../components/button";
import { Field } from "../components/field";
import { PageTitle } from "../components/page-title";
import { getApiKey, setApiKey } from "./key";

/** What a header can carry. Curly quotes, for example, are not part of it. */
const PRINTABLE_ASCII = /^[!-~]+$/;

/** Asks for an API key. `denied`: the API rejected the current one. */
export function SignInPage({
  denied,
  busy,
  retry,
}: {
  denied: boolean;
  busy: boolean;
  retry: () => void;
}) {
  const [input, setInput] = useState("");
  const [isMalformed, setMalformed] = useState(false);
  const handleSubmit = (event: FormEvent) => {
    event.preventDefault();
    const key = input.trim();
    setMalformed(!PRINTABLE_ASCII.test(key));
    if (!PRINTABLE_ASCII.test(key)) return;
    if (key === getApiKey()) retry();
    else setApiKey(key);
  };
  const deniedMessage = denied ? "This key is invalid, revoked or expired." : undefined;
  return (
    <main className="flex min-h-dvh items-center justify-center p-4">
      <form
        onSubmit={handleSubmit}
        className="w-full max-w-sm rounded-2xl border border-border bg-surface p-6 shadow-sm"
      >
        <img src="/icon.svg" alt="" className="mb-4 size-10" />
        <PageTitle title="Sign in" />
        <Field
          label="API key"
          hint="Starts with pf_. It is kept in this browser tab only."
          error={
            isMalformed ? "A key contains only letters, digits and underscores." : deniedMessage
          }
        >
          {(inputProps) => (
            <input
              {...inputProps}
              type="password"
              autoComplete="off"
              spellCheck={false}
              required
              value={input}
              onChange={(event) => setInput(event.target.value)}
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
