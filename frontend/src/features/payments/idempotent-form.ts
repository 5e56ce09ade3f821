import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useRef, useState } from "react";
import { ApiError, splitFieldErrors } from "../../api/api-error";

type FieldErrors = Record<string, string>;

/**
 * The state of a form that is safe to submit again.
 *
 * Guarantee: a form has one idempotency key, so it creates one resource, no matter how often it is
 * submitted. Field errors appear after the first attempt, whether we or the API found them.
 */
export function useIdempotentForm<Values extends object, Created>({
  initialValues,
  validate,
  send,
  onSuccess,
}: {
  initialValues: Values;
  validate: (values: Values) => FieldErrors;
  send: (values: Values, idempotencyKey: string) => Promise<Created>;
  /** Not called if the viewer has left the form meanwhile. */
  onSuccess: (created: Created) => unknown;
}) {
  const [values, setValues] = useState(initialValues);
  const [isSubmitted, setSubmitted] = useState(false);
  const [key, setKey] = useState(() => crypto.randomUUID());
  const formRef = useRef<HTMLFormElement>(null);
  const client = useQueryClient();
  const { error, isPending, mutate, reset } = useMutation({
    mutationKey: [key],
    mutationFn: (submitted: Values) => send(submitted, key),
  });
  const { fieldErrors, other } = splitFieldErrors(error, initialValues);
  return {
    formRef,
    values,
    fieldErrors: { ...fieldErrors, ...(isSubmitted ? validate(values) : {}) } as FieldErrors,
    error: other,
    errorCode: error instanceof ApiError ? error.code : undefined,
    isPending,
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
      setKey(crypto.randomUUID());
      reset();
    },
  };
}
