import { text } from "../strings";

const WORDS: Readonly<Record<string, string>> = text.dashboard.reasons;

/** Why something ended: in words, with the server's own name of it. */
export function Reason({ code }: { code: string }) {
  const words = WORDS[code];
  return (
    <span className="reason" data-reason={code}>
      {words === undefined ? code : <span title={code}>{words}</span>}
    </span>
  );
}
