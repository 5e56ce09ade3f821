import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useRef, useState } from "react";
import { ApiError, splitFieldErrors } from "../../api/api-error";

type FieldErrors = Record<string, string>;

/**
 * The state of a form that is safe to submit again.
 *
 * Guarantee: a form has one idempotency key, so it creates one resource, no matter how often it is
 * submitted. From the first submission until its answer, the tab keeps the form, so that it comes back
 * with its key after a reload. Field errors appear after the first attempt, whether we or the API found
 * them.
 */
export function useIdempotentForm<Values extends object, Created>({
  name,
  initialValues,
  validate,
  send,
  onSuccess,
}: {
  /** What the tab keeps the form under. */
  name: string;
  initialValues: Values;
  validate: (values: Values) => FieldErrors;
  send: (values: Values, idempotencyKey: string) => Promise<Created>;
  /** Not called if the viewer has left the form meanwhile. */
  onSuccess: (created: Created) => unknown;
}) {
  const [kept] = useState(() => sentForm<Values>(name));
  const [values, setValues] = useState({ ...initialValues, ...kept?.values });
  const [isSubmitted, setSubmitted] = useState(kept !== undefined);
  const [key, setKey] = useState(() => kept?.key ?? crypto.randomUUID());
  const formRef = useRef<HTMLFormElement>(null);
  const client = useQueryClient();
  const { error, isPending, mutate, reset } = useMutation({
    mutationKey: [key],
    mutationFn: (submitted: Values) => {
      keepForm(name, { key, values: submitted });
      const answer = send(submitted, key);
      answer.then(
        () => forgetForm(name),
        (refusal) => isRefused(refusal) && forgetForm(name),
      );
      return answer;
    },
  });
  const { fieldErrors, other } = splitFieldErrors(error, initialValues);
  return {
    formRef,
    values,
    fieldErrors: { ...fieldErrors, ...(isSubmitted ? validate(values) : {}) } as FieldErrors,
    error: other,
    errorCode: error instanceof ApiError ? error.code : undefined,
    isPending,
    /** Whether the form was sent before the page was reloaded, and no answer has come. */
    isUnanswered: key === kept?.key && !isPending,
    change: (changes: Partial<Values>) => {
      setValues({ ...values, ...changes });
      if (!isPending) reset();
    },
    submit: (event: FormEvent) => {
      event.preventDefault();
      setSubmitted(true);
      if (Object.keys(validate(values)).length > 0) {
        requestAnimationFrame(() =>
          formRef.current?.querySelector<HTMLElement>("[aria-invalid=true]")?.focus(),
        );
        return;
      }
      // A double click is faster than the render that sets `isPending`.
      if (client.isMutating({ mutationKey: [key] }) === 0) mutate(values, { onSuccess });
    },
    /** Use a new idempotency key: the next submission creates another resource. */
    renewKey: () => {
      forgetForm(name);
      setKey(crypto.randomUUID());
      reset();
    },
  };
}

/** Whether the API has said that it created nothing; after a 5xx or no answer it may have. */
const isRefused = (error: unknown) =>
  error instanceof ApiError && error.status >= 400 && error.status < 500;

type SentForm<Values> = { key: string; values: Values };

const storageKey = (name: string) => `payflow-form-${name}`;

function sentForm<Values>(name: string): SentForm<Values> | undefined {
  const text = sessionStorage.getItem(storageKey(name));
  return text === null ? undefined : (JSON.parse(text) as SentForm<Values>);
}

function keepForm<Values>(name: string, form: SentForm<Values>) {
  sessionStorage.setItem(storageKey(name), JSON.stringify(form));
}

function forgetForm(name: string) {
  sessionStorage.removeItem(storageKey(name));
}
