import { type SubmitEvent, useState } from "react";
import type { Role } from "../account/credentials";
import { Field } from "../account/fields";
import { text } from "../strings";
import { ROLES } from "./roles";

const WORDS = text.dashboard.accounts;
const EMPTY = { username: "", name: "", email: "", password: "" };

export interface NewAccountBody {
  readonly username: string;
  readonly name: string;
  readonly email: string | null;
  readonly password: string;
  readonly role: Role;
}

/** A form for an account of any role. */
export function NewAccount({ onMake }: { onMake: (body: NewAccountBody, onMade: () => void) => void }) {
  const [fields, setFields] = useState(EMPTY);
  const [role, setRole] = useState<Role>("member");
  const set = (name: keyof typeof EMPTY) => (value: string) => {
    setFields((before) => ({ ...before, [name]: value }));
  };
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    onMake({ ...fields, email: fields.email === "" ? null : fields.email, role }, () => {
      setFields(EMPTY);
    });
  };
  return (
    <details className="card" data-new-account>
      <summary>{WORDS.make}</summary>
      <form onSubmit={submit}>
        <Field label={text.account.username} value={fields.username} onValue={set("username")} complete="off" />
        <Field label={text.account.name} value={fields.name} onValue={set("name")} complete="off" required={false} />
        <Field label={text.account.email} type="email" value={fields.email} onValue={set("email")} complete="off" required={false} />
        <Field label={WORDS.firstPassword} type="password" value={fields.password} onValue={set("password")} complete="new-password" />
        <label>
          {WORDS.role}
          <select
            value={role}
            onChange={(event) => {
              setRole(event.target.value as Role);
            }}
          >
            {ROLES.map((one) => (
              <option key={one} value={one}>
                {WORDS.roles[one]}
              </option>
            ))}
          </select>
        </label>
        <button type="submit">{WORDS.doMake}</button>
      </form>
    </details>
  );
}
