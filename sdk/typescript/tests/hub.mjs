// A real hub as a child process, on a free port and a folder of its own; and stand-ins for hosts of the outside.

import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const BINARY = process.env.NEXUS_BIN ?? fileURLToPath(new URL("../../../target/debug/nexus", import.meta.url));
/** Longest wait for anything. */
export const PATIENCE = 20_000;

/** Nothing of the shell that runs the tests may help. */
export function cleanEnv(more = {}) {
  const own = Object.entries(process.env).filter(([name]) => !/^(NEXUS_|INTEGRATION_|NEXT_PUBLIC_|PORT$|npm_)/.test(name));
  return { ...Object.fromEntries(own), ...more };
}

for (const name of Object.keys(process.env)) if (!(name in cleanEnv()) && name !== "NEXUS_SEEDS") delete process.env[name];

/** Waits until `there` gives something. */
export async function until(what, there, patience = PATIENCE) {
  const end = Date.now() + patience;
  for (;;) {
    const found = await there();
    if (found) return found;
    if (Date.now() > end) throw new Error(`${what} never came true`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

export class Hub {
  /** `prepare` may put files into the hub's folder, and gives further arguments. */
  static async start(test, prepare = () => []) {
    if (!existsSync(BINARY)) throw new Error(`${BINARY} is not there: make build`);
    const hub = new Hub();
    hub.folder = mkdtempSync(join(tmpdir(), "nexus-sdk-"));
    test.after(async () => {
      await hub.kill();
      rmSync(hub.folder, { recursive: true, force: true });
    });
    hub.more = prepare(hub.folder);
    await hub.run("127.0.0.1:0");
    hub.token = readFileSync(join(hub.folder, "admin.token"), "utf8").trim();
    return hub;
  }

  async run(listen) {
    const args = ["serve", "--listen", listen, "--data", this.folder, ...this.more];
    const child = spawn(BINARY, args, { cwd: this.folder, env: cleanEnv(), stdio: ["ignore", "ignore", "pipe"] });
    this.child = child;
    let said = "";
    child.stderr.setEncoding("utf8").on("data", (text) => {
      said += text;
    });
    const url = await until("the hub is ready", () => {
      if (child.exitCode !== null) throw new Error(`the hub ended: ${said}`);
      return /ready/.test(said) && /listening on (https?:\/\/\S+)/.exec(said)?.[1];
    });
    this.url = url;
  }

  /** Pulls the plug. */
  async kill() {
    const { child } = this;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGKILL");
    await gone;
  }

  /** Starts it again where it was. */
  async again() {
    await this.run(new URL(this.url).host);
  }

  get where() {
    return { url: this.url, token: this.token };
  }

  async call(path, method = "GET", body = undefined, token = this.token) {
    const headers = { authorization: `Bearer ${token}`, ...(body === undefined ? {} : { "content-type": "application/json" }) };
    const answer = await fetch(`${this.url}${path}`, { method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
    return { status: answer.status, body: await answer.json() };
  }

  async publish(topic, payload) {
    const { status, body } = await this.call(`/events/${topic}`, "POST", { payload });
    if (status !== 200) throw new Error(JSON.stringify(body));
    return body;
  }

  /** Waits for what became of an event. */
  async fate(id, verdict) {
    return until(`the fate of ${id} is ${verdict}`, async () => {
      const { data } = (await this.call(`/api/v1/events/${id}/fate`)).body;
      return data.verdict === verdict && data;
    });
  }

  async scoped(name, scopes) {
    return (await this.call("/api/v1/tokens", "POST", { name, scopes })).body.data.token;
  }
}

/** A server that keeps what it was sent and answers as told. */
export async function standIn(test, answer = () => [200, { ok: true }]) {
  const journal = [];
  const server = createServer((request, response) => {
    let text = "";
    request.setEncoding("utf8").on("data", (chunk) => {
      text += chunk;
    });
    request.on("end", () => {
      const { method, url, headers } = request;
      const got = { method, url, headers, body: text === "" ? undefined : JSON.parse(text) };
      journal.push(got);
      const [status, body, more] = answer(got, journal.length);
      response.writeHead(status, { "content-type": "application/json", ...more });
      response.end(typeof body === "string" ? body : JSON.stringify(body));
    });
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  test.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${server.address().port}`, journal };
}
