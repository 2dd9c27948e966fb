"""The media of calls: what each leg has, and what joins them."""
