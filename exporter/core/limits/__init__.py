"""Run-time limits: which runs are past theirs, and whether they may be asked to stop. Pure, like all of the core.

Rooms: `rules` (what a limit is, which run it is about), `runs` (the values that are kept), `decide` (what follows from
a poll), `judge` (the last look before a request), `answers` (what follows from the API's answer), `breaker`, `notices`
(what people are told), `replay` (what a limit would have done), `draft` (one step while it is made).

    watch → warned → over → intent → requested → (force intent → forced) → cancelled | ended by itself | refused | stuck
"""
