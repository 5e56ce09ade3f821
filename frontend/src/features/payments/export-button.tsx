import { Download } from "lucide-react";
import { useEffect, useRef, useState } from "react";
import { Button } from "../../components/button";
import { ErrorAlert } from "../../components/error-alert";
import { csv, everyPayment } from "./csv";
import type { PaymentsSearch } from "./payments-search";

/** Saves the whole filtered list as a CSV file, and says how far it is. */
export function ExportButton({ search }: { search: PaymentsSearch }) {
  const [count, setCount] = useState<number>();
  const [error, setError] = useState<Error>();
  const running = useRef<AbortController>(undefined);
  useEffect(() => () => running.current?.abort(), []);

  const start = async () => {
    const controller = new AbortController();
    running.current = controller;
    setError(undefined);
    setCount(0);
    try {
      save(csv(await everyPayment(search, controller.signal, setCount)));
    } catch (problem) {
      if (!controller.signal.aborted) setError(problem as Error);
    }
    setCount(undefined);
  };

  return (
    <>
      {count === undefined ? (
        <Button onClick={start}>
          <Download className="size-4" aria-hidden="true" />
          CSV
        </Button>
      ) : (
        <Button
          onClick={(event) => {
            // The second click of a double one was for the button that stood here.
            if (event.detail < 2) running.current?.abort();
          }}
        >
          Stop
          <span role="status">at {count.toLocaleString()} payments</span>
        </Button>
      )}
      {error && (
        <div className="basis-full">
          <ErrorAlert error={error} retry={start} />
        </div>
      )}
    </>
  );
}

function save(text: string) {
  // With the mark that makes spreadsheets read it as UTF-8.
  const url = URL.createObjectURL(new Blob(["\uFEFF", text], { type: "text/csv" }));
  const link = document.createElement("a");
  link.href = url;
  link.download = `payments-${new Date().toISOString().slice(0, 19).replaceAll(":", "")}.csv`;
  link.click();
  URL.revokeObjectURL(url);
}
