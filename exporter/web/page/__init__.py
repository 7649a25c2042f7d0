"""The page for people and its data, `/` and `/api/v1/status`.

`sources` says what it is made of, `board` looks at that, `pipelines`, `runs` and `surroundings` turn it into the facts
of `status`, `printing` into HTML, and `press` does both in a thread of its own, so that no scrape waits for it.
"""
