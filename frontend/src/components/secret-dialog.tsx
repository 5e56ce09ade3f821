import type { ReactNode } from "react";
import { Button } from "./button";
import { CopyButton } from "./copy-button";
import { Dialog } from "./dialog";

/** Shows a secret that cannot be shown again. */
export function SecretDialog({
  title,
  secret,
  label,
  onClose,
  children,
}: {
  title: string;
  secret: string;
  label: string;
  onClose: () => void;
  children: ReactNode;
}) {
  return (
    <Dialog title={title} onClose={onClose}>
      <p className="mb-3 text-sm">{children}</p>
      <p className="mb-5 flex items-center gap-2 rounded-lg bg-raised p-3">
        <code className="min-w-0 flex-1 font-mono text-xs break-all">{secret}</code>
        <CopyButton text={secret} label={label} />
      </p>
      <Button variant="primary" onClick={onClose}>
        Done
      </Button>
    </Dialog>
  );
}
