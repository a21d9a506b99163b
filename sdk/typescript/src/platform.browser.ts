// What differs between Node and browsers, for browsers.

import type { SocketLike } from "./platform.js";

export type { SocketLike };

/** Bundlers replace `process.env.X`; there is nothing else to look at. */
export function env(name: string): string | undefined {
  const vars = (globalThis as { process?: { env?: Record<string, string | undefined> } }).process?.env;
  return vars?.[name]?.trim() || undefined;
}

/** A page can't read files. */
export function readTokenFile(_folder: string): string | undefined {
  return undefined;
}

/** A page can't set headers on a socket: the token follows the protocol `bearer`. */
export function openSocket(url: string, token: string | undefined): SocketLike {
  return new WebSocket(url, token === undefined ? [] : ["bearer", token]) as unknown as SocketLike;
}

/** Calls back when the browser says that the network is back. */
export function onOnline(wake: () => void): () => void {
  globalThis.addEventListener?.("online", wake);
  return () => globalThis.removeEventListener?.("online", wake);
}

/** Pages end when they end. */
export function unref(_timer: ReturnType<typeof setTimeout>): void {}
