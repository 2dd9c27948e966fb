"""Who can be called and how they are reached: accounts, bindings, rules, trunks, records."""
