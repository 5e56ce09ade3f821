import { COLUMN_HEADER } from "./table-classes";

/** The head of a table whose first column is a label and whose others are numbers. */
export function ColumnHeaders({ columns }: { columns: readonly string[] }) {
  return (
    <thead className="border-b border-border">
      <tr>
        {columns.map((column) => (
          <th key={column} scope="col" className={COLUMN_HEADER}>
            {column}
          </th>
        ))}
      </tr>
    </thead>
  );
}
