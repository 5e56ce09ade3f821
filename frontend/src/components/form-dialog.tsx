import type { FormEventHandler, ReactNode, Ref } from "react";
import { Button } from "./button";
import { Dialog } from "./dialog";
import { ErrorAlert } from "./error-alert";

/** A dialog with a form, the error of its last submission, and two buttons. */
export function FormDialog({
  title,
  onClose,
  onSubmit,
  isPending,
  error,
  submitLabel,
  cancelLabel = "Cancel",
  danger = false,
  validated = true,
  formRef,
  children,
}: {
  title: string;
  onClose: () => void;
  onSubmit: FormEventHandler;
  isPending: boolean;
  error: Error | null;
  /** Without it, there is nothing left to submit. */
  submitLabel?: string | undefined;
  cancelLabel?: string;
  danger?: boolean;
  /** Whether the browser validates the fields. */
  validated?: boolean;
  formRef?: Ref<HTMLFormElement>;
  children: ReactNode;
}) {
  return (
    <Dialog title={title} onClose={onClose} busy={isPending}>
      <form ref={formRef} onSubmit={onSubmit} noValidate={!validated} className="space-y-4">
        {children}
        {error && <ErrorAlert error={error} />}
        <div className="flex justify-end gap-2">
          <Button onClick={onClose} disabled={isPending}>
            {cancelLabel}
          </Button>
          {submitLabel && (
            <Button type="submit" variant={danger ? "danger" : "primary"} disabled={isPending}>
              {submitLabel}
            </Button>
          )}
        </div>
      </form>
    </Dialog>
  );
}
