import { useQuery } from "@tanstack/react-query";
import { CircleCheck, CircleX, LoaderCircle, type LucideIcon } from "lucide-react";
import { Problem } from "../../api/problem";
import { Card } from "../../ui/card";
import { ProblemNote } from "../../ui/problem-note";
import { healthQuery } from "./queries";

type Word = "answers" | "answer" | "unknown" | "not well" | "…";

/** How the API, the tables and the queue are, as the API says. */
export function Health() {
  const { data, error, refetch } = useQuery(healthQuery);
  const isOut = error instanceof Problem && error.status === 0;
  const api: Word = data || (error && !isOut) ? "answers" : error ? "not well" : "…";
  const behind: Word = error ? (isOut ? "unknown" : "not well") : data ? "answer" : "…";
  return (
    <Card title="Health">
      <div className="space-y-3 p-4" aria-live="polite">
        <dl className="space-y-3 text-sm">
          <Part name="API" word={api} />
          <Part name="Tables and queue" word={behind} />
        </dl>
        {data && (
          <p className="text-xs text-muted">
            Version {data.version}, {data.region}
          </p>
        )}
      </div>
      {error && !data && (
        <div className="px-4 pb-4">
          <ProblemNote error={error} retry={() => refetch()} />
        </div>
      )}
    </Card>
  );
}

const LOOKS: Record<Word, [LucideIcon, string]> = {
  answers: [CircleCheck, "text-good"],
  answer: [CircleCheck, "text-good"],
  unknown: [CircleX, "text-muted"],
  "not well": [CircleX, "text-bad"],
  "…": [LoaderCircle, "text-muted"],
};

function Part({ name, word }: { name: string; word: Word }) {
  const [Icon, look] = LOOKS[word];
  return (
    <div className="flex items-center justify-between gap-3">
      <dt>{name}</dt>
      <dd className={`flex items-center gap-1.5 font-medium ${look}`}>
        <Icon className="size-4" aria-hidden="true" />
        {word}
      </dd>
    </div>
  );
}
