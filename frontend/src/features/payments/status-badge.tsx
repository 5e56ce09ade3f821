import { Ban, CircleCheck, CircleX, LoaderCircle, type LucideIcon, Undo2 } from "lucide-react";
import type { Status } from "../../api/client";
import { statusName } from "./words";

const LOOKS: Record<Status, [string, LucideIcon]> = {
  processing: ["bg-wait-ground text-wait", LoaderCircle],
  completed: ["bg-good-ground text-good", CircleCheck],
  failed: ["bg-bad-ground text-bad", CircleX],
  canceled: ["bg-calm-ground text-calm", Ban],
  returned: ["bg-calm-ground text-calm", Undo2],
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
      {statusName(status)}
    </span>
  );
}
