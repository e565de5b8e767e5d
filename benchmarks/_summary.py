"""The one table of a run: our figures, the peers', what was asked, and the last release's."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from _figures import Figure, as_rows
from _releases import Release, verdict

COLUMNS = ("script", "figure", "ours", "peer", "ratio", "asked", "before", "now")


class Result(NamedTuple):
    """What became of one script."""

    name: str
    command: str
    status: str  # "done", "failed" or "skipped"
    seconds: float = 0.0
    notes: tuple[str, ...] = ()
    figures: tuple[Figure, ...] = ()


def number(value: float | None) -> str:
    """Write a number with as many digits as its size is worth."""
    if value is None:
        return "–"
    size = abs(value)
    digits = 0 if size >= 100 else 1 if size >= 10 else 2 if size >= 1 else 3
    return f"{value:.{digits}f}"


def with_spread(value: float | None, spread: float | None) -> str:
    """Write a number and how far it moves."""
    return number(value) if spread is None else f"{number(value)} ± {number(spread)}"


def asked(figure: Figure) -> str:
    """Write the mark, and whether it was missed."""
    if figure.mark is None:
        return ""
    least = figure.better == "higher"
    limit = f"{'at least' if least else 'at most'} {number(figure.mark)}"
    if figure.value is None or (
        figure.value < figure.mark if least else figure.value > figure.mark
    ):
        return f"{limit}: missed"
    return limit


def ratio(figure: Figure) -> str:
    """Write the ratio, or for accuracies, of which a ratio means nothing, the difference."""
    if figure.ratio is not None:
        return with_spread(figure.ratio, figure.spread)
    if figure.compared == "ours" and None not in (figure.ours, figure.peer):
        return f"{figure.ours - figure.peer:+.3f}"  # type: ignore[operator]
    return ""


def row(script: str, figure: Figure, before: Figure | None, said: str) -> tuple[str, ...]:
    """Return one figure's cells, with what was said of it."""
    accuracy = figure.compared == "ours"
    ours = with_spread(figure.ours, figure.spread if accuracy else None)
    peer = "" if figure.peer is None else f"{number(figure.peer)} ({figure.peer_name})"
    old = "" if before is None or before.compared_value is None else number(before.compared_value)
    return (
        script,
        figure.name,
        f"{ours} {figure.unit}".strip(),
        peer,
        ratio(figure),
        asked(figure),
        old,
        said,
    )


def markdown(heading: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return an aligned table in Markdown."""
    cells = [list(heading), *([cell.replace("|", "/") for cell in cells] for cells in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = [
        "| " + " | ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)) + " |"
        for line in cells
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def summarise(
    title: str, environment: dict[str, Any], results: Sequence[Result], release: Release | None
) -> tuple[str, dict[str, Any]]:
    """Return the summary as Markdown and as what JSON can hold."""
    rows, worse, kept, remarks = [], [], [], []
    for result in results:
        known = release.before(result.name, result.command) if release else None
        if release and known is None and result.figures:
            remarks.append(f"{result.name}: not run with these options for {release.version}.")
        before, judged = known or {}, []
        for figure in result.figures:
            old = before.get(figure.name)
            said = "" if known is None else verdict(figure, old)
            rows.append(row(result.name, figure, old, said))
            judged.append({"verdict": said, "before": old.compared_value if old else None})
            if said == "worse":
                worse.append(f"{result.name}: {figure.name}")
        if result.figures:
            gone = set(before) - {figure.name for figure in result.figures}
            remarks += [f"{result.name}: {name!r} is no longer measured." for name in sorted(gone)]
        figures = [{**f, **j} for f, j in zip(as_rows(result.figures), judged, strict=True)]
        kept.append({**result._asdict(), "notes": list(result.notes), "figures": figures})

    columns = list(COLUMNS)
    if release:
        columns[columns.index("before")] = release.version
    else:
        columns = columns[:-2]
        rows = [cells[:-2] for cells in rows]
    parts = [f"# {title}", describe(environment)]
    if release:
        parts.append(
            f"Compared with {release.version}, `{release.command}`. {moved(release, environment)}"
        )
    parts.append(markdown(columns, rows) if rows else "No figures.")
    if worse:
        parts.append("Worse than before:\n\n" + "\n".join(f"- {name}" for name in worse))
    if remarks:
        parts.append("\n".join(f"- {remark}" for remark in remarks))
    parts.append(
        markdown(("script", "result", "minutes", "command", "notes"), map(_script, results))
    )
    summary = {
        "title": title,
        "environment": environment,
        "compared_with": release.version if release else None,
        "worse": worse,
        "scripts": kept,
    }
    return "\n\n".join(parts) + "\n", summary


def _script(result: Result) -> tuple[str, ...]:
    status = result.status
    if status == "done" and not result.figures:
        status = "run, not measured: its figures are in its text"
    minutes = f"{result.seconds / 60:.1f}" if result.seconds else ""
    return result.name, status, minutes, f"`{result.command}`", "; ".join(result.notes)


def describe(environment: dict[str, Any]) -> str:
    """Say in one line what a run was made with."""
    packages = ", ".join(f"{name} {of}" for name, of in environment["packages"].items())
    return f"{environment['cores']} cores, {environment['machine']}; {packages}."


def moved(release: Release, environment: dict[str, Any]) -> str:
    """Say what is not as it was when the release was measured."""
    then, changes = release.environment, []
    if then["cores"] != environment["cores"]:
        changes.append(f"{then['cores']} cores then, {environment['cores']} now")
    for name, version in environment["packages"].items():
        if then["packages"].get(name) != version:
            changes.append(f"{name} {then['packages'].get(name, 'not there')} then, {version} now")
    return f"Not the same: {'; '.join(changes)}." if changes else "Same packages and cores."
