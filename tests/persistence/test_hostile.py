"""Damaged files and files made to do harm: nothing in them runs, and the error names the file."""

import io
import json
import pickle
import struct
import zipfile

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.tree import DecisionTreeRegressor

from sklearn_memorability.persistence import load, read_facts, save

FACTS, SCHEMA = "facts.json", "schema.json"


def members_of(model, folder):
    """Return the members of a model's file."""
    save(model, folder / "sound.skops")
    with zipfile.ZipFile(folder / "sound.skops") as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def write(path, members, **settings):
    with zipfile.ZipFile(path, "w", **settings) as archive:
        for name, content in members.items():
            archive.writestr(name, content)


@pytest.fixture(scope="module")
def sound(rows, tiny, tmp_path_factory):
    """The members of a sound file."""
    head = tiny(random_state=np.random.RandomState(0))
    model = make_pipeline(FunctionTransformer(np.tanh), head).fit(*rows)
    return members_of(model, tmp_path_factory.mktemp("sound"))


@pytest.fixture
def path(tmp_path, monkeypatch):
    """Where a hostile file is written; nothing else may be there after it was loaded."""
    monkeypatch.chdir(tmp_path)
    yield tmp_path / "hostile.skops"
    assert [file.name for file in tmp_path.iterdir()] == ["hostile.skops"]


def refused(path, match=""):
    with pytest.raises(ValueError, match=rf"hostile\.skops' can't be read as a model: .*{match}"):
        load(path)


def array_of(dtype, size):
    """Return the header of an array's file."""
    buffer = io.BytesIO()
    header = {"descr": dtype, "fortran_order": False, "shape": (size,)}
    np.lib.format.write_array_header_1_0(buffer, header)
    return buffer.getvalue()


class Bomb:
    """An object whose pickle makes a file when it is loaded."""

    def __init__(self, canary):
        self.canary = canary

    def __reduce__(self):
        return open, (str(self.canary), "w")


def node(kind, module="builtins", name="dict", **more):
    return {"__class__": name, "__module__": module, "__loader__": kind, **more}


def text(value):
    return node("JsonNode", name="str", content=json.dumps(value), is_json=True)


def pair(*items):
    return node("TupleNode", name="tuple", content=list(items))


STRING = node("TypeNode", name="str")
HELD = node(
    "DictNode", content={"a": text(1)}, key_types=node("ListNode", name="list", content=[STRING])
)
SYSTEM = node("FunctionNode", "os", "system")
TOUCH = pair(text("touch canary"))
PARTIAL = {"func": SYSTEM, "args": TOUCH, "kwds": HELD, "namespace": HELD}
SEEDED = {"bit_generator": HELD | {"content": {"bit_generator": text("seed")}}, "seed_seq": HELD}
# Each with the type that the error must name.
HOSTILE = [
    (SYSTEM, "os.system"),
    (node("FunctionNode", "builtins", "eval"), "builtins.eval"),
    (node("TypeNode", "builtins", "eval"), "builtins.eval"),
    (node("ObjectNode", "skorch.net", "NeuralNet", content=HELD), "skorch.net.NeuralNet"),
    (node("ObjectNode", "torch.nn.modules.linear", "Linear", content=HELD), "torch.nn"),
    (node("ObjectNode", "joblib.memory", "Memory", content=HELD), "joblib.memory.Memory"),
    (node("ConstructorFromReduceNode", "subprocess", "Popen", content=TOUCH), "subprocess.Popen"),
    (node("PartialNode", "functools", "partial", content=PARTIAL), "functools.partial"),
    (node("MethodNode", content={"func": "clear", "obj": HELD}), "builtins.dict.clear"),
    (node("OperatorFuncNode", "operator", "methodcaller", attrs=TOUCH), "operator.methodcaller"),
    (node("DictNode", "subprocess", "Popen", content={}, key_types=HELD["key_types"]), "Popen"),
    (HELD | {"key_types": node("ListNode", name="list", content=[SYSTEM])}, "os.system"),
    (node("ListNode", "os", "system", content=[text("touch canary")]), "os.system"),
    (node("LossNode", "os", "system", __reduce__={"args": TOUCH}, content=HELD), "os.system"),
    (node("TreeNode", "os", "system", __reduce__={"args": TOUCH}, content=HELD), "os.system"),
    (
        node("RandomGeneratorNode", "numpy.random._generator", "Generator", content=SEEDED),
        "numpy.random.seed",
    ),
    (node("CachedNode", __id__=99_999), "unknown object"),
    (node("NoSuchNode"), "NoSuchNode"),
    ({"__loader__": "FunctionNode", "__module__": ["os"], "__class__": "system"}, ""),
]


@pytest.mark.parametrize("protocol", [0, 2])
@pytest.mark.parametrize(("evil", "named"), HOSTILE, ids=lambda value: str(value)[:40])
def test_nodes_that_would_run_something_are_refused(sound, path, evil, named, protocol):
    schema = json.loads(sound[SCHEMA]) | {"protocol": protocol}
    for place in ("attribute", "root"):
        if place == "attribute":
            schema["content"]["content"]["verbose"] = evil
            changed = schema
        else:
            changed = evil | {"protocol": protocol, "_skops_version": "0.16.0"}
        write(path, sound | {SCHEMA: json.dumps(changed).encode()})
        refused(path, named if protocol == 2 else "")
        write(path, sound)


def test_of_two_nodes_with_one_id_the_hostile_one_is_never_built(sound, path, rows):
    schema = json.loads(sound[SCHEMA])
    steps = schema["content"]["content"]["steps"]
    for evil, _ in HOSTILE:
        schema["content"]["content"]["verbose"] = evil | {"__id__": steps["__id__"]}
        write(path, sound | {SCHEMA: json.dumps(schema).encode()})
        try:
            load(path).predict(rows[0])
        except ValueError as error:
            # Which of the two comes first, and so is looked at, is up to skops.
            assert "hostile.skops" in str(error)  # noqa: PT017


def test_every_member_replaced_by_a_pickle_is_refused(sound, path):
    canary = path.with_name("canary")
    content = pickle.dumps(Bomb(canary))
    pickle.loads(content).close()  # it would have run
    canary.unlink()
    for name in sound:
        for replaced in [content] + [array_of("|O", 1) + content] * name.endswith(".npy"):
            write(path, sound | {name: replaced})
            refused(path)


@pytest.mark.parametrize("header", ["{'shape': (", "{'a' b}", "{" * 200, "(" * 2000])
def test_an_array_whose_header_is_none_is_refused(sound, path, header):
    name = next(name for name in sound if name.endswith(".npy"))
    text = header.encode().ljust(4000) + b"\n"
    write(path, sound | {name: b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text})
    refused(path)


def test_a_network_is_not_saved_as_an_opaque_blob(rows, tiny, path):
    model = Ridge().fit(*rows)
    model.note_ = tiny().fit(*rows).net_
    with pytest.raises(ValueError, match=r"Ridge can't be saved"):
        save(model, path)
    model.note_ = pickle.dumps(1)
    with pytest.raises(ValueError, match=r"Ridge can't be saved.*no bytes"):
        save(model, path, trusted=["builtins.bytes"])
    path.touch()


def test_other_members_are_refused_and_nothing_is_written(sound, path):
    for name in ("../evil.npy", "/etc/evil.npy", "C:\\evil.npy", "model.pkl", "x.bin", "a/1.npy"):
        write(path, sound | {name: b"evil"})
        refused(path, "only arrays")


def test_a_bomb_is_refused_unopened(sound, path):
    for name in (FACTS, "1.npy"):
        write(path, sound | {name: bytes(50_000_000)}, compression=zipfile.ZIP_DEFLATED)
        refused(path, "compressed")
    name = next(name for name in sound if name.endswith(".npy"))
    write(path, sound | {name: array_of("<f8", 10**15)})
    refused(path)


def test_a_cut_or_changed_file_is_refused(sound, path):
    write(path, sound)
    content = path.read_bytes()
    for length in [0, 1, 30, *range(100, len(content), len(content) // 12)]:
        path.write_bytes(content[:length])
        refused(path)
    # zip has a checksum for each member.
    members = zipfile.ZipFile(io.BytesIO(content)).infolist()
    for member in members[:: len(members) // 12]:
        place = member.header_offset + 30 + len(member.filename) + member.compress_size // 2
        path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        refused(path)


@pytest.mark.parametrize("content", [b"", b"[]", b"null", b"{}", b"[" * 200_000, b"\xff"])
@pytest.mark.parametrize("name", [FACTS, SCHEMA])
def test_a_file_whose_json_is_none_is_refused(sound, path, name, content):
    write(path, sound | {name: content})
    refused(path)


def test_neither_facts_nor_a_folder_of_pickles_decide_what_is_built(sound, path, rows):
    facts, schema = json.loads(sound[FACTS]), json.loads(sound[SCHEMA])
    for change in ({"weights_files": {"../x": "1"}}, {"model": 3}, {"n_features": "x"}):
        write(path, sound | {FACTS: json.dumps(facts | change).encode()})
        load(path).predict(rows[0])
    schema["content"]["content"]["memory"] = text(str(path.parent))
    write(path, sound | {SCHEMA: json.dumps(schema).encode()})
    assert load(path).memory is None


def test_an_older_or_newer_format_is_refused_with_the_version_and_the_way_out(sound, path):
    facts = json.loads(sound[FACTS])
    for version, saved_with, match in [
        (1, "0.1.0", "saved by sklearn-memorability 0.1.0.* save it anew"),
        (3, "9.9.9", "saved by sklearn-memorability 9.9.9.*Install that version"),
        ("2", "9.9.9", ""),
    ]:
        changed = facts | {
            "format_version": version,
            "versions": {"sklearn-memorability": saved_with},
        }
        write(path, sound | {FACTS: json.dumps(changed).encode()})
        refused(path, match)
        with pytest.raises(ValueError, match=r"hostile\.skops"):
            read_facts(path)
    write(path, {name: content for name, content in sound.items() if name != FACTS})
    refused(path, "did not write it")


@pytest.mark.parametrize(
    ("model", "field", "value"),
    [
        (DecisionTreeRegressor(), "left_child", 0),
        (RandomForestRegressor(2), "right_child", 10**6),
        (DecisionTreeRegressor(), "feature", 6),
    ],
)
def test_trees_whose_nodes_lead_astray_are_refused(rows, path, model, field, value):
    model = clone(model).set_params(max_depth=2, random_state=0)
    members = members_of(model.fit(*rows), path.parent)
    path.with_name("sound.skops").unlink()
    for name in [name for name in members if name.endswith(".npy")]:
        array = np.load(io.BytesIO(members[name]))
        if array.dtype.names and field in array.dtype.names:
            array[field][0] = value
            buffer = io.BytesIO()
            np.save(buffer, array)
            write(path, members | {name: buffer.getvalue()})
    refused(path, "decision tree")
