// What differs between Node and browsers. This file is Node's; `platform.browser.ts` takes its place in browser builds.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { WebSocket } from "ws";

/** The part of a WebSocket that is used here; browsers' own and that of `ws` both have it. */
export interface SocketLike {
  onopen: (() => void) | null;
  onmessage: ((message: { data: unknown }) => void) | null;
  onclose: ((event: { code: number; reason: string }) => void) | null;
  onerror: ((event: { message?: string }) => void) | null;
  send(text: string): void;
  close(code?: number, reason?: string): void;
}

/** A variable of the environment. */
export function env(name: string): string | undefined {
  return process.env[name]?.trim() || undefined;
}

/** The token that a hub leaves in its data folder at its first start, where this user may read it. */
export function readTokenFile(folder: string): string | undefined {
  try {
    return readFileSync(join(folder, "admin.token"), "utf8").trim() || undefined;
  } catch {
    return undefined;
  }
}

/** Opens a socket. */
export function openSocket(url: string, token: string | undefined): SocketLike {
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
  return new WebSocket(url, { headers, handshakeTimeout: 10_000 }) as unknown as SocketLike;
}

/** Calls back when the network seems to be back. Node does not know. */
export function onOnline(_wake: () => void): () => void {
  return () => {};
}

/** A timer that does not keep the process alive by itself. */
export function unref(timer: ReturnType<typeof setTimeout>): void {
  timer.unref?.();
}
