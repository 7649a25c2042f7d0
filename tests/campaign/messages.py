"""Which events a message tells of, read from its text as a person would: alone, or folded with others.

Must not use the service's own code: it is on trial.
"""

from __future__ import annotations

import re

REPEAT = "(possible repeat)"

_UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_EVENT_ID = re.compile(r"^event id: (\S+)$", re.M)
_BARE = re.compile(rf"^{_UUID}$")
_LABELLED = re.compile(rf"^([A-Z][\w:+ ]*): ({_UUID})$")
_LABEL = re.compile(r"^([A-Z][A-Z_]+(?::\w+)*(?: \+ [A-Z][A-Z_]+(?::\w+)*)*):$")
_ONE_KIND = re.compile(r": [\d,]+ ([A-Z_]+), last \S+ \S+$|: [\d,]+ ([A-Z_]+), \S+ \S+$")


def marked(title: str) -> bool:
    """Whether it says that it may be a repeat."""
    return REPEAT in title


def events_in(body: str) -> set[str]:
    """The ids of the events that a message tells of."""
    body = body.replace("\r\n", "\n")
    told = set(_EVENT_ID.findall(body))
    for block in body.split("\n\n"):
        kinds: list[str] = []
        for number, line in enumerate(block.split("\n")):
            line = line.strip()
            if number == 0 and (found := _ONE_KIND.search(line)):
                kinds = [found[1] or found[2]]
            elif found := _LABELLED.match(line):
                told |= {f"{found[2]}:{kind}" for kind in found[1].split(" + ")}
            elif found := _LABEL.match(line):
                kinds = found[1].split(" + ")
            elif _BARE.match(line):
                told |= {f"{line}:{kind}" for kind in kinds}
    return told
