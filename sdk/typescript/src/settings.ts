// Where the hub is and which token to show: argument, then environment, then the file that a hub leaves beside its data.

import { env, readTokenFile } from "./platform.js";

/** What a caller knows already; everything absent is looked for. */
export interface Settings {
  /** Base URL; else `NEXUS_URL`, `INTEGRATION_HUB_URL`, `NEXT_PUBLIC_BACKEND_URL`, else `http://127.0.0.1:8080`. */
  url?: string | undefined;
  /** Token; else `NEXUS_TOKEN`, `INTEGRATION_HUB_TOKEN`, else the file `admin.token` of the hub's data folder (Node). */
  token?: string | undefined;
  /** Data folder of the hub; else `NEXUS_DATA`, else, for a hub of this machine, `./nexus-data`. */
  data?: string | undefined;
}

/** Where to go, and with what. */
export interface Resolved {
  url: string;
  token: string | undefined;
}

const DEFAULT_URL = "http://127.0.0.1:8080";

/** Finds the hub and a token. */
export function resolve(settings: Settings = {}): Resolved {
  // Written out, so that bundlers for browsers can put the value in the place of the name.
  const published = typeof process === "undefined" ? undefined : process.env?.["NEXT_PUBLIC_BACKEND_URL"];
  const found = settings.url?.trim() || env("NEXUS_URL") || env("INTEGRATION_HUB_URL") || published || DEFAULT_URL;
  const url = found.replace(/\/+$/, "");
  const local = isLoopback(url);
  const token = settings.token?.trim() || env("NEXUS_TOKEN") || env("INTEGRATION_HUB_TOKEN");
  if (token) return { url, token };
  // A file that nobody named is shown to this machine only.
  const folders = [settings.data, env("NEXUS_DATA"), ...(local ? ["nexus-data", "."] : [])];
  for (const folder of folders) {
    const read = folder ? readTokenFile(folder) : undefined;
    if (read) return { url, token: read };
  }
  return { url, token: undefined };
}

function isLoopback(url: string): boolean {
  let parsed: URL;
  try {
    parsed = new URL(url);
  } catch {
    throw new TypeError(`${JSON.stringify(url)} is no URL of a hub; write for example ${DEFAULT_URL}`);
  }
  if (parsed.protocol !== "http:" && parsed.protocol !== "https:") {
    throw new TypeError(`${JSON.stringify(url)} does not begin with http:// or https://`);
  }
  const host = parsed.hostname.replace(/^\[|\]$/g, "");
  return host === "localhost" || host === "::1" || /^127\./.test(host);
}
