// Makes dist/: the page, its bundle and the crypto engine's WebAssembly. Needs no network.
import { build } from "esbuild";
import { copyFile, mkdir, rm } from "node:fs/promises";
import { fileURLToPath } from "node:url";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const ENGINE = "pkg/matrix_sdk_crypto_wasm_bg.wasm";

await rm(here("dist"), { recursive: true, force: true });
await mkdir(here("dist/pkg"), { recursive: true });
await build({
  entryPoints: [here("src/page.mjs")],
  outfile: here("dist/page.js"),
  bundle: true,
  format: "esm",
  platform: "browser",
  target: "es2022",
  minify: true,
  legalComments: "linked",
  logLevel: "warning",
});
// The engine looks for its WebAssembly beside the script, by this very path.
await copyFile(
  here(`node_modules/@matrix-org/matrix-sdk-crypto-wasm/${ENGINE}`),
  here(`dist/${ENGINE}`),
);
for (const file of ["index.html", "page.css"])
  await copyFile(here(`src/${file}`), here(`dist/${file}`));
