"""Which label values a pipeline has: readable, and never the same for two pipelines, whatever people call things.

Must not know about metrics or values.
"""

from __future__ import annotations

from collections import Counter
from itertools import chain, count
from operator import attrgetter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from exporter.core.model import PipelineKey

UNKNOWN = "unknown"
"""The label of a project or environment that the API did not name."""

_IN_ORDER = attrgetter("project_id", "environment_name", "pipeline_name")
_ID_SHOWN = 8  # characters of the id that tell two projects of one name apart


def project_labels(project_ids: Iterable[str], names: Mapping[str, str]) -> dict[str, str]:
    """A label for every project id, each different.

    Its name; `<name> (<first 8 of the id>)` for every project whose name another one has too; its id while no name
    is known; `unknown` for the id "". Where even these meet, the project that is merely named so gives way.
    """
    ids = sorted({*project_ids, *names})
    named = {project_id: clean(names[project_id]) for project_id in ids if project_id and names.get(project_id)}
    times = Counter(named.values())
    labels: dict[str, str] = {}
    taken: set[str] = set()

    def give(project_id: str, choices: Iterable[str]) -> None:
        labels[project_id] = label = next(choice for choice in choices if choice not in taken)
        taken.add(label)

    for project_id in ids:
        if project_id not in named:
            give(project_id, _numbered(clean(project_id) or UNKNOWN))
    for project_id, name in named.items():
        if times[name] > 1:
            give(project_id, _with_id(name, project_id))
    for project_id, name in named.items():
        if times[name] == 1:
            give(project_id, chain((name,), _with_id(name, project_id)))
    return labels


def pipeline_labels(keys: Iterable[PipelineKey], names: Mapping[str, str]) -> dict[PipelineKey, str]:
    """What stands between the braces for every pipeline, escaped, each different; ordered as people would.

    The pairs `project_name`, `environment_name` and `pipeline_name`. Two pipelines can meet only where the API left
    something out that another is really called, or said what no label can hold; one of them is numbered then.
    """
    ordered = sorted(keys, key=_IN_ORDER)
    projects = project_labels({key.project_id for key in ordered}, names)
    labels: dict[tuple[str, str, str], PipelineKey] = {}
    for key in ordered:
        project, environment = projects[key.project_id], clean(key.environment_name) or UNKNOWN
        for name in _numbered(clean(key.pipeline_name) or UNKNOWN):
            if (project, environment, name) not in labels:
                labels[project, environment, name] = key
                break
    return {labels[values]: _pairs(*values) for values in sorted(labels)}


def escaped(value: str) -> str:
    """A label's value as it stands between quotation marks."""
    return _escaped(clean(value))


def clean(value: str) -> str:
    """Without what breaks a whole scrape: Prometheus takes NUL for the end of the text, and refuses half characters."""
    if value.isascii():
        return value.replace("\0", "\ufffd")
    return value.replace("\0", "\ufffd").encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _pairs(project: str, environment: str, pipeline: str) -> str:
    return (
        f'project_name="{_escaped(project)}",environment_name="{_escaped(environment)}",'
        f'pipeline_name="{_escaped(pipeline)}"'
    )


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _with_id(name: str, project_id: str) -> Iterator[str]:
    whole_id = clean(project_id)
    return chain((f"{name} ({whole_id[:_ID_SHOWN]})",), _numbered(f"{name} ({whole_id})"))


def _numbered(label: str) -> Iterator[str]:
    return chain((label,), (f"{label} #{number}" for number in count(2)))
