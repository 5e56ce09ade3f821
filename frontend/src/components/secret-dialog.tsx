import type { ReactNode } from "react";
import { Button } from "./button";
import { CopyButton } from "./copy-button";
import { Dialog } from "./dialog";

/** Shows what will not be shown again. */
export function SecretDialog({
  title,
  secret,
  what,
  close,
  children,
}: {
  title: string;
  secret: string;
  what: string;
  close: () => void;
  children: ReactNode;
}) {
  return (
    <Dialog title={title} close={close}>
      <p className="mb-3 text-sm">{children}</p>
      <p className="mb-5 flex items-center gap-2 rounded-lg bg-raised p-3">
        <code className="min-w-0 flex-1 font-mono text-xs break-all">{secret}</code>
        <CopyButton text={secret} what={what} />
      </p>
      <Button variant="primary" onClick={close}>
        I have it
      </Button>
    </Dialog>
  );
}
