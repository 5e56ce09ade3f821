import { Ban, CircleCheck, CircleX, LoaderCircle, Undo2 } from "lucide-react";
import type { Status } from "../../api/client";
import { Badge, type BadgeProps } from "../../components/badge";
import { statusLabel } from "./labels";

const STYLES: Record<Status, Omit<BadgeProps, "label">> = {
  processing: { tone: "warning", icon: LoaderCircle, spinning: true },
  completed: { tone: "success", icon: CircleCheck },
  failed: { tone: "danger", icon: CircleX },
  canceled: { tone: "neutral", icon: Ban },
  returned: { tone: "neutral", icon: Undo2 },
};

export function StatusBadge({ status }: { status: Status }) {
  return <Badge label={statusLabel(status)} {...STYLES[status]} />;
}
