import { useEffect, useState } from "react";
import { type Account, signedIn } from "./credentials";

/** Who is signed in; undefined until that is known. */
export function useAccount(): Account | null | undefined {
  const [account, setAccount] = useState<Account | null | undefined>(undefined);
  useEffect(() => {
    let current = true;
    signedIn()
      .then((kept) => {
        if (current) setAccount(kept?.account ?? null);
      })
      .catch(() => {
        // The page says what fails when somebody does something; who is signed in is a courtesy.
        if (current) setAccount(null);
      });
    return () => {
      current = false;
    };
  }, []);
  return account;
}
