// A hub whose certificate no public authority has signed.

import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { join } from "node:path";
import test from "node:test";
import { HubClient } from "@neo-protocol/nexus-sdk";

import { cleanEnv, Hub, until } from "./hub.mjs";

/** A certificate for this machine that has signed itself, and its key. */
function certificate(folder) {
  const [cert, key] = [join(folder, "cert.pem"), join(folder, "key.pem")];
  const made = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost".split(" ");
  const holds = ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE"];
  execFileSync("openssl", [...made, ...holds, "-keyout", key, "-out", cert], { stdio: "ignore" });
  return ["--tls-cert", cert, "--tls-key", key];
}

test("calls and sockets trust the certificates that NODE_EXTRA_CA_CERTS names", async (t) => {
  const hub = await Hub.start(t, certificate);
  const program = `
    import { EventBus, HubClient } from "@neo-protocol/nexus-sdk";
    const bus = new EventBus();
    bus.on("order.*", (payload) => { console.log("heard", payload.id); bus.close(); });
    const look = setInterval(async () => {
      if (bus.position === undefined) return;
      clearInterval(look);
      await new HubClient().call("/events/order.created", { body: { payload: { id: 7 } } });
    }, 20);`;
  const env = cleanEnv({ NEXUS_URL: hub.url, NEXUS_TOKEN: hub.token, NODE_EXTRA_CA_CERTS: join(hub.folder, "cert.pem") });
  const child = spawn(process.execPath, ["--input-type=module", "-e", program], { cwd: import.meta.dirname, env });
  t.after(() => child.kill("SIGKILL"));
  let said = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text) => {
      said += text;
    });
  }
  await until("it has called and heard", () => said.includes("heard 7")).catch((error) => assert.fail(`${error}: ${said}`));
});

test("elsewhere a certificate that is not trusted is told as such, with the reason", async (t) => {
  const hub = await Hub.start(t, certificate);
  const client = new HubClient({ url: hub.url, token: hub.token });
  const refused = { name: "UnreachableError", code: "CERTIFICATE", retryable: false, message: /self.signed.*NODE_EXTRA_CA_CERTS/ };
  await assert.rejects(client.call("/api/v1/sources"), refused);
});
