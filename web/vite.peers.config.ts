import { resolve } from "node:path";
import { defineConfig } from "vite";

// Foreign clients in one script each, for the tests of interoperation; no part of what is shipped.
export default defineConfig({
  publicDir: false,
  build: {
    outDir: resolve(import.meta.dirname, "../artefacts/peers"),
    emptyOutDir: false,
    minify: false,
    lib: {
      entry: resolve(import.meta.dirname, "peers/mediasoup.ts"),
      formats: ["iife"],
      name: "mediasoupPeer",
      fileName: () => "mediasoup.js",
    },
  },
});
