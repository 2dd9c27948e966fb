import { type ReactNode, StrictMode, useState } from "react";
import { createRoot } from "react-dom/client";
import "./style.css";
import { text } from "../strings";
import { roomName } from "./address";
import { applyTheme, chosenTheme, type Theme } from "./theme";
import { useAccount } from "../account/useAccount";

/** The frame of every page but the meeting: header with the places to go, and the content. */
export function Page({ title, wide = false, children }: { title: string; wide?: boolean; children: ReactNode }) {
  const room = encodeURIComponent(roomName);
  return (
    <>
      <a className="skip" href="#content">
        {text.skip}
      </a>
      <header>
        <a className="brand" href="/">
          {text.brand}
        </a>
        <nav aria-label={text.pages}>
          <a href="/">{text.nav.start}</a>
          <a href={`/publish/?room=${room}`}>{text.nav.publish}</a>
          <a href={`/watch/?room=${room}`}>{text.nav.watch}</a>
          <a href="/phone/">{text.nav.phone}</a>
          <Who />
        </nav>
        <ThemeSwitch />
      </header>
      <main id="content" tabIndex={-1} className={wide ? "wide" : ""}>
        <h1>{title}</h1>
        {children}
      </main>
    </>
  );
}

function Who() {
  const account = useAccount();
  return (
    <>
      {account !== null && account !== undefined && account.role !== "member" && (
        <a href="/dashboard/">{text.nav.dashboard}</a>
      )}
      <a href="/account/">{account ? account.name || account.username : text.nav.signIn}</a>
    </>
  );
}

export function ThemeSwitch() {
  const [theme, setTheme] = useState<Theme>(chosenTheme);
  return (
    <select
      className="theme"
      aria-label={text.theme.label}
      value={theme}
      onChange={(event) => {
        const wanted = event.target.value as Theme;
        applyTheme(wanted);
        setTheme(wanted);
      }}
    >
      <option value="auto">{text.theme.auto}</option>
      <option value="light">{text.theme.light}</option>
      <option value="dark">{text.theme.dark}</option>
    </select>
  );
}

/** Puts a page into the document. */
export function show(page: ReactNode): void {
  const root = document.getElementById("app");
  if (root === null) throw new Error("the page has no #app");
  applyTheme(chosenTheme());
  createRoot(root).render(<StrictMode>{page}</StrictMode>);
}
