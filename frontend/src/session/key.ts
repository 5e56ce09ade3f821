import { useSyncExternalStore } from "react";

/**
 * The API key of this browser tab. It is deleted with the tab and sent in a header only: it is
 * never part of a URL and never logged.
 */
const STORAGE_KEY = "payflow-key";
const listeners = new Set<() => void>();

export function getApiKey(): string | null {
  return sessionStorage.getItem(STORAGE_KEY);
}

export function setApiKey(key: string): void {
  sessionStorage.setItem(STORAGE_KEY, key);
  for (const listener of listeners) listener();
}

export function clearApiKey(): void {
  sessionStorage.clear(); // unanswered forms too
  for (const listener of listeners) listener();
}

/** Call `listener` when the key changes. Returns a function that unsubscribes it. */
export function onApiKeyChange(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export function useApiKey(): string | null {
  return useSyncExternalStore(onApiKeyChange, getApiKey);
}
