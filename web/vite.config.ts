import { resolve } from "node:path";
import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

// Built into the Python package, which carries the pages in its wheel.
export default defineConfig({
  plugins: [react()],
  build: {
    outDir: resolve(import.meta.dirname, "../src/roomtone/pages"),
    emptyOutDir: true,
    rollupOptions: {
      input: ["index.html", "publish/index.html", "watch/index.html"].map((page) => resolve(import.meta.dirname, page)),
    },
  },
});
