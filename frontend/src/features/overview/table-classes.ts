const PADDING = "px-3 py-2 max-sm:px-2 max-sm:text-xs";

/** Class names of tables whose first column is a label and whose others are numbers. */
export const COLUMN_HEADER = `${PADDING} text-right text-xs font-medium text-muted first:text-left`;
export const ROW_HEADER = `${PADDING} text-left font-medium whitespace-nowrap`;
export const NUMBER_CELL = `${PADDING} text-right whitespace-nowrap tabular-nums`;
