"""The benchmarks as one suite: what is run, how it is shown, what it is compared with."""

import argparse
import importlib
import json
import os
import runpy
import sys
from pathlib import Path
from unittest import mock

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
MODULES = ("_figures", "_releases", "_suite", "_summary", "run_all")

with pytest.MonkeyPatch.context() as patch:
    patch.syspath_prepend(BENCHMARKS)
    _figures, _releases, _suite, _summary, run_all = map(importlib.import_module, MODULES)

Figure = _figures.Figure

SCRIPT = """
import argparse, json, pathlib, sys
parser = argparse.ArgumentParser()
parser.add_argument("--json")
parser.add_argument("--value", type=float, default=2.0)
parser.add_argument("--fail", action="store_true")
arguments = parser.parse_args()
here = pathlib.Path("times")
here.write_text(here.read_text() + "x" if here.exists() else "x")
print("memcat: not measured, its file is missing")
if arguments.fail:
    sys.exit("it broke")
figure = {
    "name": "speed", "ours": 1.0, "unit": "s", "better": "higher", "peer": arguments.value,
    "peer_name": "theirs", "ratio": arguments.value, "mark": 1.5,
}
pathlib.Path(arguments.json).write_text(json.dumps([figure]))
"""
MUTE = "print('all is well')\n"


@pytest.fixture
def suite(tmp_path, monkeypatch):
    """Put scripts of this test into the suite's place, and the releases' folder aside."""
    monkeypatch.setattr(_releases, "FOLDER", tmp_path / "figures")

    def put(**scripts):
        entries = []
        for name, (text, *options) in scripts.items():
            path = tmp_path / f"{name}.py"
            path.write_text(text, encoding="utf-8")
            entries.append(
                _suite.Entry(name, str(path), "a test's", tuple(options), tuple(options), (1, 2))
            )
        monkeypatch.setattr(run_all, "SUITE", tuple(entries))

    return put


def _run(folder, *options):
    code = run_all.main(["--output", str(folder), *options])
    return code, json.loads((folder / "summary.json").read_text(encoding="utf-8"))


def _times(folder, name):
    return len((folder / name / "times").read_text())


class Parsed(Exception):  # noqa: N818 - not an error
    """Options were parsed; a script is not to go on."""


@pytest.mark.parametrize(
    ("script", "options"),
    [
        pytest.param(entry.path, entry.options(mode), id=f"{entry.name}, {mode}")
        for entry in _suite.SUITE
        for mode in ("quick", "full")
        if entry.options(mode) is not None
    ],
)
def test_every_script_of_the_suite_is_there_and_takes_its_options(script, options, monkeypatch):
    parse = argparse.ArgumentParser.parse_args

    def parse_and_stop(*arguments):
        parse(*arguments)
        raise Parsed

    if "--json" not in options and _entry_of(script).writes_figures():
        options = (*options, "--json", "figures.json")
    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", parse_and_stop)
    monkeypatch.setattr(sys, "argv", [str(script), *options])
    monkeypatch.syspath_prepend(BENCHMARKS)
    # Some scripts pin threads by the environment when they are loaded.
    with mock.patch.dict(os.environ), pytest.raises(Parsed):
        runpy.run_path(str(script), run_name="__main__")


def _entry_of(script):
    return next(entry for entry in _suite.SUITE if entry.path == script)


def test_every_benchmark_is_in_the_suite():
    # Those named make_... make what comes with the package.
    scripts = {p.name for p in BENCHMARKS.glob("*.py") if not p.name.startswith(("_", "make_"))}
    assert {entry.script for entry in _suite.SUITE} == scripts - {"run_all.py"}


def test_quick_is_about_ten_minutes_and_names_are_unlike():
    assert sum(entry.minutes[0] for entry in _suite.SUITE) <= 12
    assert len({entry.name for entry in _suite.SUITE}) == len(_suite.SUITE)


def test_a_timed_figure_has_the_median_of_the_ratios_and_half_their_range():
    figure = _figures.timed("fit", [1.0, 2.0, 3.0], [2.0, 2.0, 12.0], peer_name="loop")
    # The ratios are .5, 1 and .25.
    assert (figure.ours, figure.peer, figure.ratio) == (2.0, 2.0, 0.5)
    assert figure.spread == pytest.approx(0.375)
    assert figure.better == "lower"
    turned = _figures.timed("fit", [1.0, 2.0], [2.0, 2.0], peer_name="loop", faster=True)
    assert (turned.ratio, turned.better) == (1.5, "higher")
    assert _figures.timed("fit", [1.0], [2.0], peer_name="loop").spread is None


def test_a_scored_figure_has_its_standard_error_and_is_compared_by_itself():
    figure = _figures.scored("rank", [0.5, 0.7])
    # The standard deviation is .1 * sqrt(2), and there are two.
    assert figure.ours == pytest.approx(0.6)
    assert figure.spread == pytest.approx(0.1)
    assert figure.compared_value == figure.ours


def test_figures_are_written_and_read_with_the_command_and_without_what_is_not_finite(
    tmp_path, monkeypatch
):
    path = tmp_path / "figures.json"
    argv = ["anywhere/fit_speed.py", "--rows", "9", "--json", str(path)]
    monkeypatch.setattr(sys, "argv", argv)
    given = Figure("a", float("inf"), "lower", "", peer=1 / 3, spread=float("nan"))
    _figures.write_figures(path, [given])
    (row,) = json.loads(path.read_text(encoding="utf-8"))
    assert row == {
        "name": "a",
        "ours": None,
        "better": "lower",
        "unit": "",
        "peer": 0.3333,
        "command": "python benchmarks/fit_speed.py --rows 9",
    }
    (read,) = _figures.read_figures(path)
    assert read.ours is read.spread is read.ratio is None
    _figures.write_figures(None, [given])  # without --json nothing is written


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ({"name": "a"}, "a list of objects was expected"),
        ([{"name": "a", "ours": 1.0, "unit": "s"}], r"figure 0 lacks \['better'\]"),
        (
            [{"name": "a", "ours": 1.0, "unit": "s", "better": "lower", "mrak": 1.0}],
            r"unknown \['mrak'\]",
        ),
        ([{"name": "a", "ours": 1.0, "unit": "s", "better": "less"}], "better='less'"),
        ([{"name": "a", "ours": "1", "unit": "s", "better": "lower"}], "ours='1'"),
        (2 * [{"name": "a", "ours": 1.0, "unit": "s", "better": "lower"}], "two figures are named"),
    ],
)
def test_figures_in_another_form_are_an_error_that_names_file_and_key(rows, message, tmp_path):
    path = tmp_path / "own.json"
    path.write_text(json.dumps(rows), encoding="utf-8")
    with pytest.raises(ValueError, match=f"own.json.*{message}"):
        _figures.read_figures(path)


def _ratio(value, better="lower", spread=None):
    return Figure("f", 1.0, better, "s", peer=1.0, ratio=value, spread=spread)


def _accuracy(value, error=None, better="higher"):
    return Figure("f", value, better, "Spearman", spread=error, compared="ours")


@pytest.mark.parametrize(
    ("now", "before", "expected"),
    [
        # Without a spread a ratio may move by 10 %.
        (_ratio(1.09), _ratio(1.0), "same"),
        (_ratio(1.11), _ratio(1.0), "worse"),
        (_ratio(1.11, "higher"), _ratio(1.0, "higher"), "better"),
        (_ratio(0.89), _ratio(1.0), "better"),
        # With spreads, ranges that meet are the same.
        (_ratio(1.29, spread=0.2), _ratio(1.0, spread=0.1), "same"),
        (_ratio(1.31, spread=0.2), _ratio(1.0, spread=0.1), "worse"),
        (_ratio(1.05, spread=0.01), _ratio(1.0, spread=0.01), "worse"),
        # An accuracy is worse beyond its standard error.
        (_accuracy(0.585, 0.02), _accuracy(0.6, 0.01), "same"),
        (_accuracy(0.57, 0.02), _accuracy(0.6, 0.02), "worse"),
        (_accuracy(0.57, 0.02, "lower"), _accuracy(0.6, 0.02, "lower"), "better"),
        # Seconds are a machine's.
        (Figure("f", 9.0, "lower", "s"), Figure("f", 1.0, "lower", "s"), ""),
        (_ratio(1.0), None, "new"),
    ],
)
def test_better_same_or_worse(now, before, expected):
    assert _releases.verdict(now, before) == expected


def test_the_table_has_figures_ratios_marks_and_the_releases(tmp_path, monkeypatch):
    monkeypatch.setattr(_releases, "FOLDER", tmp_path)
    here = {"cores": 2, "machine": "any", "packages": {"numpy": "2.0"}}
    speed = Figure(
        "fit", 1.0, "lower", "s", peer=0.5, peer_name="loop", ratio=2.0, mark=1.25, spread=0.1
    )
    rank = Figure(
        "rank", 0.55, "higher", "Spearman", peer=0.6, peer_name="SVR", spread=0.01, compared="ours"
    )
    before = (
        _ratio(1.0),
        Figure("rank", 0.6, "higher", "Spearman", spread=0.01, compared="ours"),
        Figure("gone", 1.0, "lower", "s"),
    )
    path = _releases.save_release(
        "0.9",
        "full",
        command="python benchmarks/run_all.py --full",
        date="2026-01-01",
        environment={**here, "cores": 8},
        scripts={"one": ("python one.py", before), "two": ("python two.py --rows 9", before)},
    )
    release = _releases.read_release(path, "full")
    results = [
        _summary.Result("one", "python one.py", "done", 60.0, (), (speed, rank)),
        _summary.Result("two", "python two.py", "done", 60.0, (), (speed,)),
    ]
    text, summary = _summary.summarise("Title", here, results, release)
    table = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in text.splitlines()
        if line.startswith(("| one ", "| two "))
    ]
    assert table[0] == [
        "one", "fit", "1.00 s", "0.500 (loop)", "2.00 ± 0.100", "at most 1.25: missed", "", "new",
    ]  # fmt: skip
    assert table[1] == [
        "one", "rank", "0.550 ± 0.010 Spearman", "0.600 (SVR)", "-0.050", "", "0.600", "worse",
    ]  # fmt: skip
    # With other options nothing is compared.
    assert table[2][-2:] == ["", ""]
    assert "two: not run with these options for 0.9." in text
    assert "one: 'gone' is no longer measured." in text
    assert "8 cores then, 2 now" in text
    assert summary["worse"] == ["one: rank"]
    assert _releases.read_release(path, "quick") is None


def test_the_newest_release_is_found_by_its_numbers(tmp_path, monkeypatch):
    monkeypatch.setattr(_releases, "FOLDER", tmp_path)
    assert _releases.newest() is None
    for version in ("0.9.0", "0.10.0", "0.2.1"):
        (tmp_path / f"{version}.json").touch()
    assert _releases.newest().stem == "0.10.0"


def test_the_figures_of_releases_can_be_read():
    for path in (BENCHMARKS / "figures").glob("*.json"):
        kept = json.loads(path.read_text(encoding="utf-8"))
        assert kept["version"] == path.stem
        for mode in kept["runs"]:
            release = _releases.read_release(path, mode)
            assert release.command.startswith("python benchmarks/run_all.py")
            assert any(release.figures.values())


def test_a_script_that_fails_is_told_and_the_others_go_on(suite, tmp_path, capsys):
    suite(broken=(SCRIPT, "--fail"), mute=(MUTE,), fine=(SCRIPT,))
    code, summary = _run(tmp_path / "out")
    assert code == 1
    assert [script["status"] for script in summary["scripts"]] == ["failed", "done", "done"]
    out, err = capsys.readouterr()
    assert "exit code 1: it broke" in out
    assert "run, not measured" in out
    assert "memcat: not measured, its file is missing" in out
    assert "there is no release's file yet" in out
    assert "[3/3] fine, about 1 min" in err
    assert "all is well" in (tmp_path / "out" / "mute" / "output.txt").read_text()
    assert (tmp_path / "out" / "summary.md").read_text(encoding="utf-8").strip() in out


def test_figures_that_cannot_be_read_are_a_failure(suite, tmp_path, capsys):
    suite(odd=(SCRIPT.replace('"unit": "s", ', ""),))
    assert _run(tmp_path / "out")[0] == 1
    assert "figure 0 lacks ['unit']" in capsys.readouterr().out


def test_a_repeated_command_goes_on_where_it_was(suite, tmp_path, monkeypatch):
    suite(first=(SCRIPT,), second=(SCRIPT,))
    out, start = tmp_path / "out", run_all.start

    def interrupted(entry, mode, folder):
        if entry.name == "second":
            raise KeyboardInterrupt
        return start(entry, mode, folder)

    monkeypatch.setattr(run_all, "start", interrupted)
    assert run_all.main(["--output", str(out)]) == 130
    assert not (out / "summary.json").exists()
    monkeypatch.setattr(run_all, "start", start)
    assert _run(out)[0] == 0
    assert (_times(out, "first"), _times(out, "second")) == (1, 1)
    _run(out, "--only", "second", "--again")
    # A script starts afresh: nothing of the last time is left in its folder.
    assert (_times(out, "first"), _times(out, "second")) == (1, 1)


def test_only_what_fits_is_taken_from_an_earlier_run(suite, tmp_path, monkeypatch):
    suite(one=(SCRIPT, "--fail"))
    out = tmp_path / "out"
    _run(out)
    _run(out)
    assert _times(out, "one") == 2  # failed, so it was run again where it was
    suite(one=(SCRIPT,))
    assert _run(out)[1]["scripts"][0]["status"] == "done"
    assert _times(out, "one") == 1  # other options, so it started afresh
    other = {"cores": 64, "machine": "another", "packages": {}}
    monkeypatch.setattr(run_all, "environment", lambda: other)
    (out / "one" / "left").touch()
    _run(out)
    assert not (out / "one" / "left").exists()


def test_a_folder_that_is_no_script_s_is_not_emptied(suite, tmp_path):
    suite(one=(SCRIPT,))
    own = tmp_path / "out" / "one"
    own.mkdir(parents=True)
    (own / "mine.txt").touch()
    _run(tmp_path / "out", "--again")
    assert (own / "mine.txt").exists()


def test_what_is_missing_is_named(tmp_path, monkeypatch):
    entry = _suite.Entry("a", "fit_speed.py", "", None, (), (0, 1), data="no_such_set")
    assert entry.why_not("quick") == "not part of --quick"
    monkeypatch.delenv("MEMORABILITY_TEST_DATA", raising=False)
    assert "MEMORABILITY_TEST_DATA is not set" in entry.why_not("full")
    monkeypatch.setenv("MEMORABILITY_TEST_DATA", str(tmp_path))
    assert "holds no no_such_set" in entry.why_not("full")
    (tmp_path / "no_such_set").mkdir()
    assert entry.why_not("full") is None
    assert entry._replace(module="no_such_module").why_not("full") == (
        "no_such_module is not installed"
    )
    assert "is missing" in entry._replace(script="no_such_script.py").why_not("full")


def test_a_release_is_saved_and_what_is_worse_since_is_told(suite, tmp_path, capsys):
    suite(one=(SCRIPT,), mute=(MUTE,))
    assert _run(tmp_path / "before", "--full", "--save-as", "1.0.0")[0] == 0
    assert "without mute: failed, skipped or without figures" in capsys.readouterr().out
    file = tmp_path / "figures" / "1.0.0.json"
    kept = json.loads(file.read_text(encoding="utf-8"))
    run = kept["runs"]["full"]
    assert run["command"] == "python benchmarks/run_all.py --full --save-as 1.0.0"
    assert run["environment"]["packages"]["numpy"]
    assert run["scripts"]["one"]["figures"][0]["ratio"] == 2.0

    # The same command, but its figure is another.
    suite(one=(SCRIPT.replace("default=2.0", "default=1.6"),))
    _, summary = _run(tmp_path / "after", "--full")
    assert summary["compared_with"] == "1.0.0"
    assert summary["worse"] == ["one: speed"]
    assert "Worse than before:\n\n- one: speed" in capsys.readouterr().out
    _run(tmp_path / "after", "--quick", "--compare", str(file))
    assert "1.0.0.json has no figures of --quick" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--only", "fit_speed", "--save-as", "1.0"], "leave out --only"),
        (["--save-as", "../mine"], "is no version"),
        (["--compare", "no_such_file.json"], "there is no file"),
        (["--only", "no_such_name"], "invalid choice"),
        (["--quick", "--full"], "not allowed with"),
    ],
)
def test_options_that_cannot_be_are_refused_before_anything_is_run(options, message, capsys):
    with pytest.raises(SystemExit) as stopped:
        run_all.main(options)
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err


def test_the_list_names_every_script_and_its_command(capsys):
    assert run_all.main(["--list"]) == 0
    listed = capsys.readouterr().out
    for entry in _suite.SUITE:
        assert f"\n{entry.name} " in listed
        assert any(entry.command(mode) in listed for mode in ("quick", "full"))


def test_a_script_of_the_suite_runs_and_gives_its_figures(tmp_path, monkeypatch):
    options = ("--rows", "32", "--repeats", "1", "--threads", "1")
    entry = next(entry for entry in _suite.SUITE if entry.name == "fit_speed")
    monkeypatch.setattr(run_all, "SUITE", (entry._replace(quick=options),))
    code, summary = _run(tmp_path)
    assert code == 0
    figures = {figure["name"]: figure for figure in summary["scripts"][0]["figures"]}
    assert figures["1 member"]["mark"] == 1.25
    assert figures["1 member"]["ratio"] > 0
    printed = (tmp_path / "fit_speed" / "output.txt").read_text(encoding="utf-8")
    assert f"ours / plain loop              {figures['1 member']['ratio']:.2f}" in printed
