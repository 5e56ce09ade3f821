import { useRouterState } from "@tanstack/react-router";
import { ChevronLeft, ChevronRight } from "lucide-react";
import { Button } from "./button";

type Cursor = string | undefined;

/** Buttons for the newer and the older page of a list, whose cursor is in the URL. */
export function Pagination({
  cursor,
  nextCursor,
  goTo,
}: {
  cursor: Cursor;
  nextCursor: string | null;
  goTo: (cursor: Cursor, state: { newerCursors: readonly Cursor[] }) => void;
}) {
  const newerCursors = useRouterState({
    select: ({ location }) => location.state.newerCursors ?? [],
  });
  if (!cursor && !nextCursor) return null;
  return (
    <nav aria-label="Pagination" className="mt-4 flex justify-between">
      <Button
        disabled={!cursor}
        onClick={() => goTo(newerCursors.at(-1), { newerCursors: newerCursors.slice(0, -1) })}
      >
        <ChevronLeft className="size-4" aria-hidden="true" />
        Newer
      </Button>
      <Button
        disabled={!nextCursor}
        onClick={() => nextCursor && goTo(nextCursor, { newerCursors: [...newerCursors, cursor] })}
      >
        Older
        <ChevronRight className="size-4" aria-hidden="true" />
      </Button>
    </nav>
  );
}
