import { Ban, CircleCheck, CircleX, LoaderCircle, type LucideIcon, Undo2 } from "lucide-react";
import type { Status } from "../../api/client";
import { statusLabel } from "./labels";

const LOOKS: Record<Status, [string, LucideIcon]> = {
  processing: ["bg-warning-subtle text-warning", LoaderCircle],
  completed: ["bg-success-subtle text-success", CircleCheck],
  failed: ["bg-danger-subtle text-danger", CircleX],
  canceled: ["bg-neutral-subtle text-neutral", Ban],
  returned: ["bg-neutral-subtle text-neutral", Undo2],
};

export function StatusBadge({ status }: { status: Status }) {
  const [colours, Icon] = LOOKS[status];
  return (
    <span
      className={`inline-flex items-center gap-1.5 rounded-full px-2.5 py-0.5 text-xs font-medium whitespace-nowrap ${colours}`}
    >
      <Icon
        className={`size-3.5 ${status === "processing" ? "animate-spin" : ""}`}
        aria-hidden="true"
      />
      {statusLabel(status)}
    </span>
  );
}
