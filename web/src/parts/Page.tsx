import { type ReactNode, StrictMode } from "react";
import { createRoot } from "react-dom/client";
import "./style.css";
import { roomName } from "./address";

/** The frame of every page: header with the three places to go, and the content. */
export function Page({ title, children }: { title: string; children: ReactNode }) {
  const room = encodeURIComponent(roomName);
  return (
    <>
      <header>
        <a className="brand" href="/">
          Roomtone
        </a>
        <nav aria-label="Pages">
          <a href={`/publish/?room=${room}`}>Publish</a>
          <a href={`/watch/?room=${room}`}>Watch</a>
        </nav>
      </header>
      <main>
        <h1>{title}</h1>
        {children}
      </main>
    </>
  );
}

/** Puts a page into the document. */
export function show(page: ReactNode): void {
  const root = document.getElementById("app");
  if (root === null) throw new Error("the page has no #app");
  createRoot(root).render(<StrictMode>{page}</StrictMode>);
}
