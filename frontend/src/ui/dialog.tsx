import { X } from "lucide-react";
import { type ReactNode, useEffect, useId, useRef } from "react";

/**
 * What has to be dealt with first. The browser's own: it keeps the focus inside, gives it back,
 * closes on Escape, and needs no style that the Content-Security-Policy would refuse.
 */
export function Dialog({
  title,
  close,
  children,
}: {
  title: string;
  close: () => void;
  children: ReactNode;
}) {
  const dialog = useRef<HTMLDialogElement>(null);
  const heading = useId();
  useEffect(() => {
    const shown = dialog.current;
    shown?.showModal();
    return () => shown?.close();
  }, []);
  return (
    <dialog
      ref={dialog}
      aria-labelledby={heading}
      onCancel={(event) => {
        event.preventDefault();
        close();
      }}
      className="m-auto w-full max-w-lg rounded-2xl border border-line bg-surface p-0 text-ink backdrop:bg-black/50 max-sm:mb-0 max-sm:max-w-full max-sm:rounded-b-none"
    >
      <div className="flex items-center justify-between border-b border-line px-5 py-3">
        <h2 id={heading} className="font-semibold">
          {title}
        </h2>
        <button
          type="button"
          onClick={close}
          aria-label="Close"
          className="-mr-2 inline-flex size-8 items-center justify-center rounded-md text-muted hover:bg-raised hover:text-ink"
        >
          <X className="size-4" aria-hidden="true" />
        </button>
      </div>
      <div className="p-5">{children}</div>
    </dialog>
  );
}
