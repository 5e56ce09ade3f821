import { useSyncExternalStore } from "react";

/**
 * The API key of this tab. It goes when the tab goes, and is sent in a header only: it is never
 * part of an address, and never written to a log.
 */
const PLACE = "payflow-key";
const listeners = new Set<() => void>();

export function getApiKey(): string | null {
  return sessionStorage.getItem(PLACE);
}

export function setApiKey(key: string): void {
  sessionStorage.setItem(PLACE, key);
  for (const tell of listeners) tell();
}

export function clearApiKey(): void {
  sessionStorage.removeItem(PLACE);
  for (const tell of listeners) tell();
}

export function onApiKeyChange(tell: () => void): () => void {
  listeners.add(tell);
  return () => listeners.delete(tell);
}

export function useApiKey(): string | null {
  return useSyncExternalStore(onApiKeyChange, getApiKey);
}
