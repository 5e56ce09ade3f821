import { Download } from "lucide-react";
import { useEffect, useRef, useState } from "react";
import { Button } from "../../components/button";
import { ErrorAlert } from "../../components/error-alert";
import { fetchAllPayments, toCsv } from "./csv";
import type { PaymentsSearch } from "./payments-search";

const BYTE_ORDER_MARK = "\uFEFF"; // makes spreadsheets read the file as UTF-8

/** Downloads the whole filtered list as a CSV file, and shows the progress. */
export function ExportButton({ search }: { search: PaymentsSearch }) {
  const [count, setCount] = useState<number>();
  const [error, setError] = useState<Error>();
  const abortRef = useRef<AbortController>(undefined);
  useEffect(() => () => abortRef.current?.abort(), []);

  const start = async () => {
    const controller = new AbortController();
    abortRef.current = controller;
    setError(undefined);
    setCount(0);
    try {
      download(toCsv(await fetchAllPayments(search, controller.signal, setCount)));
    } catch (caught) {
      if (!controller.signal.aborted) setError(caught as Error);
    }
    setCount(undefined);
  };

  return (
    <>
      {count === undefined ? (
        <Button onClick={start}>
          <Download className="size-4" aria-hidden="true" />
          Export CSV
        </Button>
      ) : (
        <Button
          onClick={(event) => {
            // The second click of a double click was meant for the button that stood here before.
            if (event.detail < 2) abortRef.current?.abort();
          }}
        >
          Stop
          <span role="status">({count.toLocaleString()} exported)</span>
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

function download(csv: string) {
  const url = URL.createObjectURL(new Blob([BYTE_ORDER_MARK, csv], { type: "text/csv" }));
  const link = document.createElement("a");
  link.href = url;
  link.download = `payments-${new Date().toISOString().slice(0, 19).replaceAll(":", "")}.csv`;
  link.click();
  URL.revokeObjectURL(url);
}
