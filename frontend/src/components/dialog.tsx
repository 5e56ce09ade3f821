import { X } from "lucide-react";
import { type ReactNode, useId, useLayoutEffect, useRef } from "react";

/**
 * A modal dialog on the browser's own `<dialog>`. The browser traps the focus, restores it, closes
 * on Escape, and needs no inline style, which the Content-Security-Policy would block.
 *
 * A busy dialog cannot be closed: its result, such as a new secret, may be shown only once.
 */
export function Dialog({
  title,
  onClose,
  busy = false,
  children,
}: {
  title: string;
  onClose: () => void;
  busy?: boolean;
  children: ReactNode;
}) {
  const dialogRef = useRef<HTMLDialogElement>(null);
  const headingRef = useRef<HTMLHeadingElement>(null);
  const headingId = useId();
  // Close the dialog while it is still in the document: only then is the focus restored.
  useLayoutEffect(() => {
    const dialog = dialogRef.current;
    dialog?.showModal();
    // Never focus the close button: holding Enter down would close the dialog at once.
    (dialog?.querySelector("input") ?? headingRef.current)?.focus();
    return () => {
      dialog?.close();
      // The button that opened the dialog may be gone by now.
      requestAnimationFrame(() => {
        if (document.activeElement === document.body) document.querySelector("h1")?.focus();
      });
    };
  }, []);
  return (
    <dialog
      ref={dialogRef}
      aria-labelledby={headingId}
      onCancel={(event) => {
        event.preventDefault();
        if (!busy) onClose();
      }}
      onKeyDown={(event) => {
        // The browser closes a dialog on a second Escape, whatever `onCancel` does.
        if (busy && event.key === "Escape") event.preventDefault();
      }}
      onClickCapture={(event) => {
        // The second click of a double click was meant for the button that stood here before.
        if (event.detail > 1) event.stopPropagation();
      }}
      className="m-auto w-full max-w-lg rounded-2xl border border-border bg-surface p-0 text-foreground backdrop:bg-black/50 max-sm:mb-0 max-sm:max-w-full max-sm:rounded-b-none"
    >
      <div className="flex items-center justify-between border-b border-border px-5 py-3">
        <h2
          id={headingId}
          ref={headingRef}
          tabIndex={-1}
          className="min-w-0 font-semibold break-words"
        >
          {title}
        </h2>
        <button
          type="button"
          onClick={onClose}
          disabled={busy}
          aria-label="Close"
          className="-mr-2 shrink-0 inline-flex size-8 items-center justify-center rounded-md text-muted hover:bg-raised hover:text-foreground"
        >
          <X className="size-4" aria-hidden="true" />
        </button>
      </div>
      <div className="p-5">{children}</div>
    </dialog>
  );
}
