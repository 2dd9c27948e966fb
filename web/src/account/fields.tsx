import type { ChangeEvent, ReactNode } from "react";

interface FieldProps {
  readonly label: string;
  readonly value: string;
  readonly onValue: (value: string) => void;
  readonly type?: "text" | "password" | "email";
  readonly complete: string;
  readonly required?: boolean;
  readonly help?: string;
}

/** A labelled text field that password stores understand. */
export function Field({ label, value, onValue, type = "text", complete, required = true, help }: FieldProps) {
  return (
    <label>
      {label}
      <input
        type={type}
        value={value}
        required={required}
        autoComplete={complete}
        autoCapitalize="none"
        spellCheck={false}
        {...(complete === "one-time-code" ? { inputMode: "text" as const, autoFocus: true } : {})}
        onChange={(event: ChangeEvent<HTMLInputElement>) => {
          onValue(event.target.value);
        }}
      />
      {help !== undefined && <span className="help">{help}</span>}
    </label>
  );
}

/** What went wrong, said to screen readers too. */
export function Problem({ children }: { children: ReactNode }) {
  return (
    <p role="alert" className="status bad">
      {children}
    </p>
  );
}

/** What was done, said to screen readers too. */
export function Done({ children }: { children: ReactNode }) {
  return (
    <p role="status" className="status">
      {children}
    </p>
  );
}
