"""What was wrong with a request's input: pydantic's findings as pointers and plain words."""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from app.patterns import WORDS
from ganmodels.specs import FAMILIES

NOISE = {"default_factory_not_called"}  # says only that another knob, reported beside it, is wrong
SHOWN_CHARACTERS = 60
MOST_FINDINGS = 100  # each is searched for what it looks like; nobody reads more

Finding = Mapping[str, Any]  # Any: pydantic's error dictionaries
Fault = dict[str, str]


def faults(findings: Sequence[Finding], body: object, fields: Collection[str]) -> list[Fault]:
    """Return `{pointer, detail}` for each place that is wrong, the alternatives of a union put into one.

    Of very many only the first. `fields` are those of the body; none where it is a spec: its knobs are the family's.
    """
    details: dict[str, list[str]] = {}
    for finding in findings[:MOST_FINDINGS]:
        if finding["type"] not in NOISE:
            said = details.setdefault(_pointer(finding, body), [])
            said += [detail for detail in [_detail(finding, body, fields)] if detail not in said]
    return [{"pointer": pointer, "detail": " Or: ".join(said)} for pointer, said in details.items()]


def one_of(found: str, allowed: Collection[str]) -> str:
    """Say what is allowed, and which of it `found` looks like."""
    close = get_close_matches(found, sorted(allowed), n=1)
    hint = f"Did you mean {close[0]!r}? " if close else ""
    return f"{hint}Allowed: {', '.join(sorted(allowed))}."


def shown(value: object) -> str:
    """Write a value that came in so that it can be shown, whatever it holds."""
    text = json.dumps(value, default=str)
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}…"


def _pointer(finding: Finding, body: object) -> str:
    place, *path = finding["loc"]
    steps = list(_steps(path, body, finding["type"])) if place == "body" else path[:1]
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in steps)


def _steps(path: Sequence[str | int], body: object, kind: str) -> Iterator[str | int]:
    """Follow `path` into the body, leaving out the union members that pydantic puts between."""
    if kind == "json_invalid":
        return
    if kind.startswith("union_tag") and isinstance(body, dict):
        yield "family"
    if path and isinstance(body, dict) and path[0] == body.get("family"):
        path = path[1:]
    for position, step in enumerate(path):
        if _leads_on(body, step):
            yield step
            body = body[step]  # type: ignore[index]  # just seen to be possible
        elif kind == "missing" and position == len(path) - 1:
            yield step


def _leads_on(body: object, step: str | int) -> bool:
    if isinstance(body, dict):
        return step in body
    return isinstance(body, list) and isinstance(step, int) and step < len(body)


def _detail(finding: Finding, body: object, fields: Collection[str]) -> str:
    place, *path = finding["loc"]
    found, context = finding.get("input"), finding.get("ctx", {})
    if finding["type"] == "missing":
        return "This is required." if place != "body" or path else "A JSON body is required."
    if finding["type"] == "model_attributes_type" and fields:
        return f"Should be a JSON object; found {shown(found)}."
    if finding["type"].startswith("union_tag") or finding["type"] == "model_attributes_type":
        return _family_detail(body)
    if finding["type"] == "extra_forbidden":
        what, known = ("field", fields) if fields else ("knob", _knobs(body))
        return f"There is no such {what}. {one_of(str(path[-1]), known)}"
    message = finding["msg"].removeprefix("Value error, ")
    if finding["type"] == "literal_error" and isinstance(found, str):
        allowed = [name.strip().strip("'") for name in context["expected"].replace(" or ", ", ").split(",")]
        return f"Found {shown(found)}. {one_of(found, allowed)}"
    if finding["type"] == "string_pattern_mismatch" and context["pattern"] in WORDS:
        message = f"Should be {WORDS[context['pattern']]}"
    return f"{message}; found {shown(found)}." if _is_plain(found) and not message.endswith(".") else message


def _family_detail(body: object) -> str:
    if not isinstance(body, dict):
        return "A job is a JSON object with at least `family`."
    found = body.get("family")
    said = "`family` is required" if found is None else f"There is no family {shown(found)}"
    return f"{said}. {one_of(str(found), FAMILIES)}"


def _knobs(body: object) -> Collection[str]:
    family = FAMILIES.get(str(body.get("family"))) if isinstance(body, dict) else None
    return family.spec.model_fields if family else []


def _is_plain(found: object) -> bool:
    return found is None or isinstance(found, bool | int | float | str)
