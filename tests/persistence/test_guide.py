import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "sharing.md"
TEXT = PAGE.read_text(encoding="utf-8")


def test_the_guide_to_sharing_runs_as_written(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"<!-- run by the tests -->\n```python\n(.*?)```", TEXT, re.DOTALL)
    assert len(blocks) == 3
    names = {"__name__": "guide"}
    for block in blocks:
        exec(compile(block, PAGE.name, "exec"), names)
    assert capsys.readouterr().out.splitlines() == ["True", "Pipeline 927 66", "(2,)"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.skops", "to-upload"]


def test_the_other_blocks_are_python_with_the_packages_names():
    blocks = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    assert len(blocks) == 6
    imports = []
    for block in blocks:
        compile(block, PAGE.name, "exec")
        imports += [line for line in block.splitlines() if line.startswith("from sklearn_mem")]
    exec("\n".join(imports), {})
