import { X } from "lucide-react";
import { type ReactNode, useId, useLayoutEffect, useRef } from "react";
import { Button } from "./button";

/**
 * What has to be dealt with first. The browser's own: it keeps the focus inside, gives it back,
 * closes on Escape, and needs no style that the Content-Security-Policy would refuse. While it is
 * busy it stays, since what comes of that may be shown this once.
 */
export function Dialog({
  title,
  close,
  busy = false,
  children,
}: {
  title: string;
  close: () => void;
  busy?: boolean;
  children: ReactNode;
}) {
  const dialog = useRef<HTMLDialogElement>(null);
  const heading = useId();
  const name = useRef<HTMLHeadingElement>(null);
  // Closed while it is still in the page: only then does the browser give the focus back.
  useLayoutEffect(() => {
    const shown = dialog.current;
    shown?.showModal();
    // Never the button that closes: who holds Enter down would not see what came of it.
    (shown?.querySelector("input") ?? name.current)?.focus();
    return () => {
      shown?.close();
      // What it was opened from may go with it.
      requestAnimationFrame(() => {
        if (document.activeElement === document.body) document.querySelector("h1")?.focus();
      });
    };
  }, []);
  return (
    <dialog
      ref={dialog}
      aria-labelledby={heading}
      onCancel={(event) => {
        event.preventDefault();
        if (!busy) close();
      }}
      onKeyDown={(event) => {
        // A second Escape would close it whatever `onCancel` says.
        if (busy && event.key === "Escape") event.preventDefault();
      }}
      onClickCapture={(event) => {
        // The second click of a double one was for what stood there before.
        if (event.detail > 1) event.stopPropagation();
      }}
      className="m-auto w-full max-w-lg rounded-2xl border border-border bg-surface p-0 text-foreground backdrop:bg-black/50 max-sm:mb-0 max-sm:max-w-full max-sm:rounded-b-none"
    >
      <div className="flex items-center justify-between border-b border-border px-5 py-3">
        <h2 id={heading} ref={name} tabIndex={-1} className="min-w-0 font-semibold break-words">
          {title}
        </h2>
        <button
          type="button"
          onClick={close}
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

/** The way out, and the action. */
export function DialogButtons({
  close,
  busy,
  action,
  danger = false,
}: {
  close: () => void;
  busy: boolean;
  action: string;
  danger?: boolean;
}) {
  return (
    <div className="flex justify-end gap-2">
      <Button onClick={close} disabled={busy}>
        Cancel
      </Button>
      <Button type="submit" variant={danger ? "danger" : "primary"} disabled={busy}>
        {action}
      </Button>
    </div>
  );
}
