import { text } from "../strings";

const WORDS = text.dashboard;

/** Something that is shown once: to be kept now. */
export function Secret({ words, facts, onClose }: { words: string; facts: readonly (readonly [name: string, value: string])[]; onClose: () => void }) {
  return (
    <section className="card secret" role="group" aria-label={words}>
      <p>{words}</p>
      <dl className="facts">
        {facts.map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>
              <code data-secret={name}>{value}</code>
            </dd>
          </div>
        ))}
      </dl>
      <p className="row">
        {window.isSecureContext && (
          <button
            type="button"
            className="small"
            onClick={() => {
              void navigator.clipboard.writeText(facts.at(-1)?.[1] ?? "");
            }}
          >
            {WORDS.copySecret}
          </button>
        )}
        <button type="button" className="quiet small" onClick={onClose}>
          {WORDS.kept}
        </button>
      </p>
    </section>
  );
}
