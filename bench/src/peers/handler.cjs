// What a step of a flow does, for every subject: a plain server that answers at once, and the same handler for Restate.
const http = require("node:http");

const step = (body) => ({ ok: true, bytes: body.length });

if (process.argv[2] === "restate") {
  const restate = require("@restatedev/restate-sdk");
  const flow = (steps) => async (ctx, input) => {
    let last;
    for (let n = 0; n < steps; n++) {
      last = await ctx.run(`step ${n}`, () => step(JSON.stringify(input)));
    }
    return last;
  };
  const bench = restate.service({ name: "bench", handlers: { one: flow(1), five: flow(5) } });
  restate.serve({ services: [bench], port: Number(process.argv[3]) });
} else {
  const server = http.createServer((request, response) => {
    let body = "";
    request.on("data", (chunk) => (body += chunk));
    request.on("end", () => {
      response.writeHead(200, { "content-type": "application/json" });
      response.end(JSON.stringify(step(body)));
    });
  });
  server.keepAliveTimeout = 60_000;
  server.listen(Number(process.argv[3]), "127.0.0.1");
}
