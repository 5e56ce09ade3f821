import { useQuery } from "@tanstack/react-query";
import { CircleCheck, CircleX, LoaderCircle, type LucideIcon } from "lucide-react";
import { ApiError } from "../../api/api-error";
import { Card } from "../../components/card";
import { ErrorAlert } from "../../components/error-alert";
import { healthQuery } from "./queries";

type Word = "answers" | "does not answer" | "answer" | "unknown" | "not well" | "…";

/** How the API, the tables and the queue are, as the API says. */
export function Health() {
  const { data, error, refetch } = useQuery(healthQuery);
  const { api, behind } = words(error, data !== undefined);
  return (
    <Card title="Health">
      <div className="space-y-3 p-4" aria-live="polite">
        <dl className="space-y-3 text-sm">
          <Part name="API" word={api} />
          <Part name="Tables and queue" word={behind} />
        </dl>
        {data && !error && (
          <p className="text-xs text-muted">
            Version {data.version}, {data.region}
          </p>
        )}
      </div>
      {error && (
        <div className="px-4 pb-4">
          <ErrorAlert error={error} retry={() => refetch()} />
        </div>
      )}
    </Card>
  );
}

/** What is said counts from the last answer on: the one before it may be long ago. */
export function words(error: Error | null, hasAnswered: boolean): { api: Word; behind: Word } {
  if (!error) return hasAnswered ? { api: "answers", behind: "answer" } : { api: "…", behind: "…" };
  const isSaid =
    error instanceof ApiError && error.code !== "unexpected_response" && error.status > 0;
  if (!isSaid) return { api: "does not answer", behind: "unknown" };
  return { api: "answers", behind: error.status === 503 ? "not well" : "unknown" };
}

const LOOKS: Record<Word, [LucideIcon, string]> = {
  answers: [CircleCheck, "text-success"],
  answer: [CircleCheck, "text-success"],
  unknown: [CircleX, "text-muted"],
  "does not answer": [CircleX, "text-danger"],
  "not well": [CircleX, "text-danger"],
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
