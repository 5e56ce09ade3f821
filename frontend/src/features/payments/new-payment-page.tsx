import { useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { Button } from "../../components/button";
import { ErrorAlert } from "../../components/error-alert";
import { Field } from "../../components/field";
import { PageTitle } from "../../components/page-title";
import { useIdempotentForm } from "./idempotent-form";
import { CURRENCIES, DIRECTIONS, directionLabel, TYPES, typeLabel } from "./labels";
import { MetadataField } from "./metadata-field";
import {
  EMPTY,
  type PaymentFormValues,
  paymentFieldErrors,
  toPaymentRequest,
} from "./payment-form";
import { createPayment, paymentQuery } from "./queries";

export function NewPaymentPage() {
  const navigate = useNavigate();
  const client = useQueryClient();
  const form = useIdempotentForm({
    name: "new-payment",
    initialValues: EMPTY,
    validate: paymentFieldErrors,
    send: (values: PaymentFormValues, key) => createPayment(toPaymentRequest(values, key)),
    onSuccess: (payment) => {
      client.setQueryData(paymentQuery(payment.id).queryKey, payment);
      return navigate({ to: "/payments/$id", params: { id: payment.id }, replace: true });
    },
  });

  return (
    <div className="max-w-xl">
      <PageTitle title="New payment" />
      <form
        ref={form.formRef}
        onSubmit={form.submit}
        noValidate
        className="space-y-4 rounded-xl border border-border bg-surface p-5"
      >
        <PaymentFields values={form.values} errors={form.fieldErrors} onChange={form.change} />
        {form.error && <ErrorAlert error={form.error} />}
        <div className="flex flex-wrap items-center gap-3">
          <Button type="submit" variant="primary" disabled={form.isPending}>
            {form.isPending ? "Creating payment…" : "Create payment"}
          </Button>
          {(form.isUnanswered || form.errorCode === "idempotency_key_reused") && (
            <Button onClick={form.renewKey}>Create a different payment</Button>
          )}
        </div>
        {(form.isUnanswered || form.errorCode === "unreachable") && (
          <p className="text-xs text-muted">
            The payment may have been created. It is safe to submit this form again: it never
            creates a second payment.
          </p>
        )}
      </form>
    </div>
  );
}

function PaymentFields({
  values,
  errors,
  onChange,
}: {
  values: PaymentFormValues;
  errors: Record<string, string>;
  onChange: (changes: Partial<PaymentFormValues>) => void;
}) {
  return (
    <>
      <Field label="Merchant" error={errors.merchant}>
        {(inputProps) => (
          <input
            {...inputProps}
            required
            autoComplete="organization"
            value={values.merchant}
            onChange={(event) => onChange({ merchant: event.target.value })}
          />
        )}
      </Field>
      <div className="grid gap-4 sm:grid-cols-[1fr_7rem_9rem]">
        <Field label="Amount" error={errors.amount}>
          {(inputProps) => (
            <input
              {...inputProps}
              required
              inputMode="decimal"
              autoComplete="off"
              placeholder="0.00"
              value={values.amount}
              onChange={(event) => onChange({ amount: event.target.value })}
            />
          )}
        </Field>
        <Field label="Currency" error={errors.currency}>
          {(inputProps) => (
            <select
              {...inputProps}
              value={values.currency}
              onChange={(event) =>
                onChange({ currency: event.target.value as PaymentFormValues["currency"] })
              }
            >
              {CURRENCIES.map((currency) => (
                <option key={currency}>{currency}</option>
              ))}
            </select>
          )}
        </Field>
        <Field label="Type" error={errors.type}>
          {(inputProps) => (
            <select
              {...inputProps}
              value={values.type}
              onChange={(event) =>
                onChange({ type: event.target.value as PaymentFormValues["type"] })
              }
            >
              {TYPES.map((type) => (
                <option key={type} value={type}>
                  {typeLabel(type)}
                </option>
              ))}
            </select>
          )}
        </Field>
      </div>
      <Field label="Direction" error={errors.direction}>
        {(inputProps) => (
          <select
            {...inputProps}
            value={values.direction}
            onChange={(event) =>
              onChange({ direction: event.target.value as PaymentFormValues["direction"] })
            }
          >
            {DIRECTIONS.map((direction) => (
              <option key={direction} value={direction}>
                {directionLabel(direction)}
              </option>
            ))}
          </select>
        )}
      </Field>
      <Field label="Description" hint="Optional" error={errors.description}>
        {(inputProps) => (
          <textarea
            {...inputProps}
            rows={2}
            value={values.description}
            onChange={(event) => onChange({ description: event.target.value })}
          />
        )}
      </Field>
      <MetadataField
        entries={values.metadata}
        error={errors.metadata}
        onChange={(metadata) => onChange({ metadata })}
      />
    </>
  );
}
