import { useSyncExternalStore } from "react";

/**
 * The API key of this tab. It goes when the tab goes, and is sent in a header only: it is never
 * part of an address, and never written to a log.
 */
const PLACE = "payflow-key";
const listeners = new Set<() => void>();

export function heldKey(): string | null {
  return sessionStorage.getItem(PLACE);
}

export function holdKey(key: string): void {
  sessionStorage.setItem(PLACE, key);
  for (const tell of listeners) tell();
}

export function dropKey(): void {
  sessionStorage.removeItem(PLACE);
  for (const tell of listeners) tell();
}

export function onKeyChange(tell: () => void): () => void {
  listeners.add(tell);
  return () => listeners.delete(tell);
}

export function useHeldKey(): string | null {
  return useSyncExternalStore(onKeyChange, heldKey);
}
