/** Count characters as the API does: an emoji is one. */
export const characterCount = (text: string) => [...text].length;
