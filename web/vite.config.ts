import { resolve } from "node:path";
import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

const PAGES = ["", "account/", "account/reset/", "dashboard/", "phone/", "play/", "publish/", "room/", "watch/"].map((page) => `${page}index.html`);

// Built into the Python package, which carries the pages in its wheel.
export default defineConfig({
  plugins: [react()],
  build: {
    outDir: resolve(import.meta.dirname, "../src/roomtone/pages"),
    emptyOutDir: true,
    // LiveKit's client, which only the meeting loads, is one piece.
    chunkSizeWarningLimit: 600,
    rollupOptions: {
      input: PAGES.map((page) => resolve(import.meta.dirname, page)),
    },
  },
});
