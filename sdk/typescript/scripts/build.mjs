// Builds `dist`: for Node as ES and CommonJS modules with `ws` inside, for browsers without it, and the types.

import { cpSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const root = fileURLToPath(new URL("..", import.meta.url));
process.chdir(root);
rmSync("dist", { recursive: true, force: true });

/** The React hooks share one module with everything else, so that they share its bus. */
const shared = {
  name: "shared",
  setup(build) {
    build.onResolve({ filter: /^\.\/index\.js$/ }, ({ importer }) =>
      importer === "" ? undefined : { path: "./index.js", external: true },
    );
  },
};

const forBrowsers = {
  name: "browsers",
  setup(build) {
    build.onResolve({ filter: /^\.\/platform\.js$/ }, () => ({ path: `${root}/src/platform.browser.ts` }));
  },
};

// `ws` is CommonJS and asks for Node's modules by `require`, which an ES module does not have.
const requiring = `import { createRequire as __createRequire } from "node:module";
const require = __createRequire(import.meta.url);`;

const common = {
  entryPoints: ["src/index.ts", "src/react.ts"],
  bundle: true,
  external: ["react", "bufferutil", "utf-8-validate"],
  target: "es2022",
  logLevel: "warning",
  legalComments: "inline",
};

await Promise.all([
  build({
    ...common,
    outdir: "dist/esm",
    format: "esm",
    platform: "node",
    target: "node20",
    banner: { js: requiring },
    plugins: [shared],
  }),
  build({ ...common, outdir: "dist/cjs", format: "cjs", platform: "node", target: "node20", plugins: [shared] }),
  build({ ...common, outdir: "dist/browser", format: "esm", platform: "browser", plugins: [shared, forBrowsers] }),
]);

const tsc = fileURLToPath(new URL("../node_modules/typescript/bin/tsc", import.meta.url));
const typed = spawnSync(process.execPath, [tsc, "-p", ".", "--emitDeclarationOnly", "--outDir", "dist/esm"], { stdio: "inherit" });
if (typed.status !== 0) process.exit(typed.status ?? 1);
mkdirSync("dist/cjs/generated", { recursive: true });
for (const file of readdirSync("dist/esm", { recursive: true }).filter((name) => name.endsWith(".d.ts"))) {
  cpSync(`dist/esm/${file}`, `dist/cjs/${file}`);
}
writeFileSync("dist/cjs/package.json", '{ "type": "commonjs" }\n');
// What is inside keeps its terms.
cpSync("node_modules/ws/LICENSE", "dist/LICENSE-ws");
for (const name of ["LICENSE-MIT", "LICENSE-APACHE"]) cpSync(`../../${name}`, `dist/${name}`);
