import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useRef, useState } from "react";
import { ApiError } from "../../api/api-error";

type Words = Record<string, string>;

/**
 * A form that is safe to send again: it has one idempotency key, so that it makes one thing however
 * often it is sent. What is wrong is said at its field once it was tried, by the page or the API.
 */
export function useIdempotentForm<Wish extends object, Made>({
  empty,
  fieldErrors,
  send,
  done,
}: {
  empty: Wish;
  fieldErrors: (wish: Wish) => Words;
  send: (wish: Wish, key: string) => Promise<Made>;
  /** Only while the form is there: who has gone elsewhere meanwhile is left there. */
  done: (made: Made) => unknown;
}) {
  const [wish, setWish] = useState(empty);
  const [isTried, setTried] = useState(false);
  const [key, setKey] = useState(() => crypto.randomUUID());
  const form = useRef<HTMLFormElement>(null);
  const client = useQueryClient();
  const { error, isPending, mutate, reset } = useMutation({
    mutationKey: [key],
    mutationFn: (wanted: Wish) => send(wanted, key),
  });
  const refusal = error instanceof ApiError ? error : undefined;
  const { told, rest } = toldBy(refusal?.fields ?? [], empty);
  return {
    form,
    wish,
    error: rest ? error : null,
    code: refusal?.code,
    isPending,
    found: { ...told, ...(isTried ? fieldErrors(wish) : {}) } as Words,
    change: (part: Partial<Wish>) => {
      setWish({ ...wish, ...part });
      if (!isPending) reset();
    },
    submit: (event: FormEvent) => {
      event.preventDefault();
      setTried(true);
      if (Object.keys(fieldErrors(wish)).length > 0) {
        requestAnimationFrame(() =>
          form.current?.querySelector<HTMLElement>("[aria-invalid=true]")?.focus(),
        );
        return;
      }
      // Not by `isPending`, which a double click is faster than.
      if (client.isMutating({ mutationKey: [key] }) === 0) mutate(wish, { onSuccess: done });
    },
    startAnew: () => {
      setKey(crypto.randomUUID());
      reset();
    },
  };
}

/** What the API says of the form's fields, and whether there is more to say than that. */
export function toldBy(
  errors: readonly { readonly field: string; readonly message: string }[],
  form: object,
) {
  const told: Words = {};
  let rest = errors.length === 0;
  for (const { field, message } of errors) {
    const [name = "", ...entry] = field.split(".");
    if (name in form) told[name] = [...entry, message].join(" ");
    else rest = true;
  }
  return { told, rest };
}
