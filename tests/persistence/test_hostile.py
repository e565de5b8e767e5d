"""Files made to do harm: nothing in them runs, and the error names the file."""

import io
import json
import pickle
import struct
import sys
import zipfile

import numpy as np
import pytest
from sklearn.ensemble import RandomForestRegressor
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.tree import DecisionTreeRegressor

from sklearn_memorability import CaptionEmbedding, VisualSemanticEmbedding
from sklearn_memorability.persistence import load, read_facts

FACTS, SCHEMA = "facts.json", "schema.json"


def refused(path, hostile=None, match=""):
    """Check that a file is refused by name, and that nothing ran."""
    with pytest.raises(ValueError, match=rf"{path.name}.*can't be read as a model.*{match}"):
        load(path)
    if hostile is not None:
        assert not hostile.canary.exists()


@pytest.fixture(scope="module")
def whole(members_of):
    """The members of a file with all kinds of members: a picture model of one's own space."""
    from sklearn.datasets import load_sample_images

    from sklearn_memorability.pipelines import two_branch_regressor

    chance = np.random.default_rng(0)
    space = VisualSemanticEmbedding(
        4, text_encoder="bow", word_dim=4, max_epochs=1, network="efficientnet_lite0", device="cpu"
    )
    space.fit(chance.normal(size=(12, 1280)).astype(np.float32), ["a dog", "a cat"] * 6)
    settings = {"branch_sizes": (2,), "max_epochs": 1, "n_classes": 2, "device": "cpu"}
    model = two_branch_regressor(CaptionEmbedding(space, device="cpu"), space, **settings)
    return members_of(model.fit(load_sample_images().images, [0.6, 0.8]))


@pytest.fixture(scope="module")
def plain(members_of, rows):
    """The members of a file with many kinds of nodes."""
    from sklearn_memorability.regression import BalancedQuantileClassifierRegressor

    model = BalancedQuantileClassifierRegressor(
        2, max_epochs=1, branch_sizes=(2,), hidden_layer_sizes=(2,), linear_weight=0.5,
        branches={"a": [0, 2], "b": slice(3, 6)}, random_state=np.random.RandomState(0),
        target="soft", device="cpu",
    )  # fmt: skip
    return members_of(
        make_pipeline(StandardScaler(), FunctionTransformer(np.tanh), model).fit(*rows)
    )


def nodes_of(part, found=None):
    """Return all nodes of a structure."""
    found = [] if found is None else found
    if isinstance(part, dict):
        if "__loader__" in part:
            found.append(part)
        for value in part.values():
            nodes_of(value, found)
    elif isinstance(part, list):
        for value in part:
            nodes_of(value, found)
    return found


def test_every_member_replaced_by_a_pickle_is_refused(whole, hostile, write_members):
    kinds = {name.partition("-")[0] for name in whole}
    assert kinds == {"facts.json", "schema.json", "array", "network", "embedding"}
    pickle.loads(hostile.pickle).close()  # it would have run
    hostile.canary.unlink()
    for name in whole:
        hashes = name != FACTS
        write_members(hostile.path, whole | {name: hostile.pickle}, hashes=hashes)
        refused(hostile.path, hostile)


def test_every_array_replaced_by_pickled_objects_is_refused(whole, hostile, write_members):
    buffer = io.BytesIO()
    header = {"descr": "|O", "fortran_order": False, "shape": (1,)}
    np.lib.format.write_array_header_1_0(buffer, header)
    content = buffer.getvalue() + hostile.pickle
    for name in [name for name in whole if name.endswith(".npy")]:
        write_members(hostile.path, whole | {name: content})
        refused(hostile.path, hostile, "objects")


def node(kind, module="builtins", name="dict", **more):
    return {"__class__": name, "__module__": module, "__loader__": kind, **more}


def json_node(value):
    return node("JsonNode", name="str", content=json.dumps(value), is_json=True)


def tuple_node(*items):
    return node("TupleNode", name="tuple", content=list(items))


def dict_node(**items):
    keys = node("ListNode", name="list", content=[node("TypeNode", name="str")] * len(items))
    return node("DictNode", content=items, key_types=keys)


def hostile_nodes(canary):
    """Return nodes that would run something, or build what runs something later."""
    command = tuple_node(json_node(f"touch {canary}"))
    opened = tuple_node(json_node(str(canary)), json_node("w"))
    system = node("FunctionNode", "os", "system")
    held = dict_node(a=json_node(1))
    return [
        system,
        node("FunctionNode", "posix", "system"),
        node("FunctionNode", "builtins", "eval"),
        node("TypeNode", "os", "system"),
        node("TypeNode", "builtins", "eval"),
        node("TypeNode", "subprocess", "Popen"),
        node("ObjectNode", "skorch.net", "NeuralNet", content=held),
        node("ObjectNode", "skorch.classifier", "NeuralNetClassifier", content=held),
        node("ObjectNode", "skorch.history", "History", content=held),
        node("ObjectNode", "torch.nn.modules.linear", "Linear", content=held),
        node("ObjectNode", "subprocess", "Popen", content=held),
        node("ObjectNode", "joblib.memory", "Memory", content=held),
        node("ConstructorFromReduceNode", "subprocess", "Popen", content=command),
        node("ConstructorFromReduceNode", "_io", "open", content=opened),
        node("ConstructorFromReduceNode", "pathlib", "PosixPath", content=command),
        node("PartialNode", "functools", "partial",
             content={"func": system, "args": command, "kwds": held, "namespace": held}),
        node("MethodNode", content={"func": "clear", "obj": held}),
        node("OperatorFuncNode", "operator", "methodcaller", attrs=command),
        node("BytesNode", name="bytes", file="array-0.npy"),
        node("BytearrayNode", name="bytearray", file="array-0.npy"),
        node("SparseMatrixNode", "scipy.sparse", "csr_matrix", type="scipy", file="array-0.npy"),
        node("DefaultDictNode", "collections", "defaultdict",
             content={"main": held, "default_factory": system}),
        node("DictNode", "subprocess", "Popen", content={}, key_types=tuple_node()),
        node("DictNode", content={"touch": json_node(1)},
             key_types=node("ListNode", name="list", content=[system])),
        node("ListNode", "os", "system", content=[json_node(f"touch {canary}")]),
        node("ListNode", "subprocess", "Popen", content=[json_node("touch")]),
        node("TupleNode", "builtins", "exec", content=[]),
        node("SetNode", "os", "system", content=[]),
        node("NdArrayNode", "os", "system", type="numpy", file="array-0.npy"),
        node("NdArrayNode", "numpy", "load", type="numpy", file="array-0.npy"),
        node("LossNode", "os", "system", __reduce__={"args": command}, content=held),
        node("TreeNode", "os", "system", __reduce__={"args": command}, content=held),
        node("ReduceNode", "os", "system", __reduce__={"args": command}, content=held),
        node("RandomStateNode", "os", "system", content=held),
        node("RandomGeneratorNode", "numpy.random._generator", "Generator",
             content={"bit_generator": dict_node(bit_generator=json_node("seed")),
                      "seed_seq": held}),
        node("CachedNode", __id__=99_999),
        node("SliceNode", "os", "system", content={"start": 0, "stop": 1, "step": None}),
        node("JsonNode", name="str", content="{", is_json=True),
        node("ObjectNode", "sklearn_memorability.persistence._model", "load", content=held),
        node("NoSuchNode"),
        {"__loader__": "FunctionNode", "__module__": ["os"], "__class__": "system"},
        {"__loader__": "FunctionNode"},
        dict_node(a=json_node(1)) | {"__reduce__": ["os.system", command], "extra": 1},
        json_node(None) | {"__setstate__": system},
    ]  # fmt: skip


def test_hostile_nodes_in_the_place_of_every_kind_of_node_are_refused(
    plain, hostile, write_members
):
    schema = json.loads(plain[SCHEMA])
    places = {}
    for place, found in enumerate(nodes_of(schema)[1:], 1):
        places.setdefault(found["__loader__"], place)
    assert places.keys() >= {
        "JsonNode", "DictNode", "ListNode", "TupleNode", "SliceNode", "NdArrayNode", "TypeNode",
        "FunctionNode", "ObjectNode", "RandomStateNode",
    }  # fmt: skip
    for place in places.values():
        for evil in hostile_nodes(hostile.canary):
            changed = json.loads(plain[SCHEMA])
            target = nodes_of(changed)[place]
            kept = {k: v for k, v in target.items() if k == "__id__"}
            target.clear()
            target.update(kept | evil)
            write_members(hostile.path, plain | {SCHEMA: json.dumps(changed).encode()})
            refused(hostile.path, hostile)


def test_a_hostile_node_under_the_id_of_another_is_refused(plain, hostile, write_members):
    first = nodes_of(json.loads(plain[SCHEMA]))[1]["__id__"]
    for evil in hostile_nodes(hostile.canary):
        changed = json.loads(plain[SCHEMA])
        target = nodes_of(changed)[-1]
        target.clear()
        target.update(evil | {"__id__": first})
        write_members(hostile.path, plain | {SCHEMA: json.dumps(changed).encode()})
        refused(hostile.path, hostile)


def test_a_hostile_root_is_refused(plain, hostile, write_members):
    for evil in [*hostile_nodes(hostile.canary), json_node(1), dict_node(), tuple_node()]:
        root = evil | {"protocol": 2, "_skops_version": "0.16.0"}
        arrays = {FACTS: plain[FACTS], SCHEMA: json.dumps(root).encode()}
        write_members(hostile.path, arrays)
        refused(hostile.path, hostile)


def test_nothing_foreign_is_imported(plain, hostile, write_members, tmp_path, monkeypatch):
    (tmp_path / "evil_module.py").write_text(f"open({str(hostile.canary)!r}, 'w')")
    monkeypatch.syspath_prepend(tmp_path)
    for kind in ("ObjectNode", "FunctionNode", "TypeNode"):
        changed = json.loads(plain[SCHEMA])
        nodes_of(changed)[3].update(node(kind, "evil_module", "Evil"))
        write_members(hostile.path, plain | {SCHEMA: json.dumps(changed).encode()})
        refused(hostile.path, hostile)
    assert "evil_module" not in sys.modules


@pytest.mark.parametrize("protocol", [-1, 0, 1, True, 1.5, "2", None, 10**6])
def test_protocols_of_older_code_are_refused(plain, hostile, write_members, protocol):
    schema = json.loads(plain[SCHEMA]) | {"protocol": protocol}
    write_members(hostile.path, plain | {SCHEMA: json.dumps(schema).encode()})
    refused(hostile.path)


def test_a_schema_that_is_no_structure_is_refused(plain, hostile, write_members):
    for content in (b"", b"[]", b"null", b"{}", b"[" * 200_000, b'{"protocol": 2}', b"\xff"):
        write_members(hostile.path, plain | {SCHEMA: content})
        refused(hostile.path)


def test_a_cut_file_is_refused(plain, hostile, write_members):
    write_members(hostile.path, plain)
    content = hostile.path.read_bytes()
    for length in [0, 1, 30, *range(100, len(content), len(content) // 40)]:
        hostile.path.write_bytes(content[:length])
        refused(hostile.path)


def test_a_changed_byte_is_noticed_or_changes_nothing(plain, hostile, write_members, rows):
    write_members(hostile.path, plain)
    expected = load(hostile.path).predict(rows[0])
    content = hostile.path.read_bytes()
    chance = np.random.default_rng(0)
    for place in chance.integers(len(content), size=150):
        changed = bytearray(content)
        changed[place] ^= int(chance.integers(1, 256))
        hostile.path.write_bytes(changed)
        try:
            found = load(hostile.path).predict(rows[0])
        except ValueError as error:
            # Most changes are found, some change nothing, so no raises() fits.
            assert hostile.path.name in str(error)  # noqa: PT017
        except UserWarning:
            continue  # a version of another package, told as a warning
        else:
            np.testing.assert_array_equal(found, expected)


def test_a_member_that_is_not_what_was_written_is_refused(plain, hostile, write_members):
    name = next(name for name in plain if name.startswith("network"))
    write_members(hostile.path, plain | {name: plain[name][:-1] + b"\0"}, hashes=False)
    refused(hostile.path, match="hash")


@pytest.mark.parametrize(
    "name",
    ["../evil.npy", "/etc/evil.npy", "C:\\evil.npy", "array-0.npy/", "model.pkl", "network-0.pt",
     "array-0.npz", "array-0.NPY", "schema.json\n", "evil/schema.json"],
)  # fmt: skip
def test_members_with_other_names_are_refused(plain, hostile, write_members, name):
    write_members(hostile.path, plain | {name: hostile.pickle})
    refused(hostile.path, hostile, "no member")
    assert [path.name for path in hostile.path.parent.iterdir()] == [hostile.path.name]


def test_spare_and_missing_members_are_refused(plain, whole, hostile, write_members):
    spare = plain["array-0.npy"]
    write_members(hostile.path, plain | {"array-777.npy": spare}, hashes=False)
    refused(hostile.path, match="array-777")
    write_members(hostile.path, plain | {"array-777.npy": spare})
    refused(hostile.path, match="array-777")
    network = next(name for name in plain if name.startswith("network"))
    write_members(hostile.path, plain | {"network-777.safetensors": plain[network]})
    refused(hostile.path, match="network-777")
    for name in whole:
        write_members(
            hostile.path, {k: v for k, v in whole.items() if k != name}, hashes=name != FACTS
        )
        refused(hostile.path)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_member_that_is_there_twice_is_refused(plain, hostile, write_members):
    write_members(hostile.path, plain)
    with zipfile.ZipFile(hostile.path, "a") as archive:
        archive.writestr(SCHEMA, plain[SCHEMA])
    refused(hostile.path, match="twice")


def test_a_zip_bomb_is_refused_unopened(plain, hostile, write_members):
    bomb = plain | {"array-0.npy": bytes(50_000_000)}
    write_members(hostile.path, bomb, compression=zipfile.ZIP_DEFLATED)
    assert hostile.path.stat().st_size < 1_000_000
    refused(hostile.path, match="compressed")


def test_sizes_beyond_the_file_are_refused(plain, hostile, write_members):
    write_members(hostile.path, plain)
    content = bytearray(hostile.path.read_bytes())
    # The first record of the table of contents: both sizes stand at bytes 20 and 24.
    record = content.index(b"PK\x01\x02")
    content[record + 20 : record + 28] = struct.pack("<II", 2**31, 2**31)
    hostile.path.write_bytes(content)
    refused(hostile.path, match="larger than the file")


def test_an_array_that_asks_for_memory_is_refused(plain, hostile, write_members):
    buffer = io.BytesIO()
    header = {"descr": "<f8", "fortran_order": False, "shape": (10**12,)}
    np.lib.format.write_array_header_1_0(buffer, header)
    write_members(hostile.path, plain | {"array-0.npy": buffer.getvalue()})
    refused(hostile.path, match="as large as")


def test_tensors_that_ask_for_memory_are_refused(plain, hostile, write_members):
    name = next(name for name in plain if name.startswith("network"))
    for content in (
        struct.pack("<Q", 2**62) + b"{}",
        b'\x48\0\0\0\0\0\0\0{"w":{"dtype":"F32","shape":[1000000000000],"data_offsets":[0,4]}}    ',
    ):
        write_members(hostile.path, plain | {name: content})
        refused(hostile.path)


@pytest.fixture(scope="module")
def bare(members_of, small):
    """The members of the file of a regressor alone."""
    return members_of(small["model"])


def test_settings_that_are_not_the_networks_are_refused(bare, hostile, write_members):
    for name, value in {
        "branch_sizes": tuple_node(json_node(10**9)),
        "hidden_layer_sizes": tuple_node(json_node(3)),
        "n_classes": json_node(3),
        "n_members": json_node(10**9),
        "activation": node("TypeNode", name="int"),
        "linear_path": json_node(1),
        "branches": node("ListNode", name="list", content=[
            node("SliceNode", name="slice", content={"start": 0, "stop": 10**9, "step": None})]),
    }.items():  # fmt: skip
        changed = json.loads(bare[SCHEMA])
        stored = changed["content"]["content"]["_stored"]["content"]["network"]
        stored["content"][name] = value
        if len(stored["content"]) > len(stored["key_types"]["content"]):
            stored["key_types"]["content"].append(node("TypeNode", name="str"))
        write_members(hostile.path, bare | {SCHEMA: json.dumps(changed).encode()})
        if name == "activation":
            continue
        refused(hostile.path)


def test_parameters_that_no_estimator_has_are_refused(bare, hostile, write_members):
    for name, value in {"n_classes": json_node(-1), "optimizer": json_node("os.system")}.items():
        changed = json.loads(bare[SCHEMA])
        changed["content"]["content"][name] = value
        write_members(hostile.path, bare | {SCHEMA: json.dumps(changed).encode()})
        refused(hostile.path, match=name)


def test_weights_that_are_not_finite_are_refused(bare, hostile, write_members):
    name = next(name for name in bare if name.startswith("network"))
    content = bare[name][:-4] + struct.pack("<f", float("nan"))
    write_members(hostile.path, bare | {name: content})
    refused(hostile.path, match="not finite")


def test_folders_that_scikit_learn_or_the_cache_would_use_are_refused(
    plain, whole, hostile, write_members
):
    changed = json.loads(plain[SCHEMA])
    changed["content"]["content"]["memory"] = json_node(str(hostile.path.parent))
    write_members(hostile.path, plain | {SCHEMA: json.dumps(changed).encode()})
    refused(hostile.path, match="memory")
    for name, match in {"cache": "cache", "weights": ""}.items():
        changed = json.loads(whole[SCHEMA])
        extractor = next(n for n in nodes_of(changed) if n["__class__"] == "CaptionEmbedding")
        extractor["content"]["content"][name] = json_node("/etc/passwd")
        write_members(hostile.path, whole | {SCHEMA: json.dumps(changed).encode()})
        refused(hostile.path, match=match)


@pytest.mark.parametrize(
    ("field", "value"), [("left_child", 0), ("right_child", 10**6), ("feature", 6)]
)
@pytest.mark.parametrize("model", [DecisionTreeRegressor, RandomForestRegressor])
def test_trees_whose_nodes_lead_astray_are_refused(
    members_of, rows, hostile, write_members, model, field, value
):
    members = members_of(model(max_depth=2, random_state=0).fit(*rows))
    found = []
    for name in [name for name in members if name.endswith(".npy")]:
        array = np.load(io.BytesIO(members[name]))
        if array.dtype.names and field in array.dtype.names:
            array[field][0] = value
            buffer = io.BytesIO()
            np.save(buffer, array)
            found.append((name, buffer.getvalue()))
    write_members(hostile.path, members | dict(found[-1:]))
    refused(hostile.path, match="decision tree")


def test_search_trees_are_not_in_files(members_of, rows):
    members = members_of(KNeighborsRegressor(3, algorithm="kd_tree").fit(*rows))
    assert b"KDTree" not in members[SCHEMA]


def test_no_net_and_no_bytes_are_in_a_file(whole, plain):
    for members in (whole, plain):
        kinds = {found["__loader__"] for found in nodes_of(json.loads(members[SCHEMA]))}
        assert not kinds & {"BytesNode", "BytearrayNode", "MethodNode", "OperatorFuncNode"}
        assert b"skorch" not in members[SCHEMA]


def test_newer_formats_and_other_files_are_refused(plain, hostile, write_members, tmp_path):
    facts = json.loads(plain[FACTS])
    for change, match in [
        ({"format_version": 2}, "pip install -U"),
        ({"format_version": "1"}, "format"),
        ({"format": "another"}, "did not write"),
        ({"members": None}, ""),
    ]:
        members = plain | {FACTS: json.dumps(facts | change).encode()}
        write_members(hostile.path, members, hashes=False)
        refused(hostile.path, match=match)
    with pytest.raises(FileNotFoundError, match=r"nowhere\.skops"):
        load(tmp_path / "nowhere.skops")
    with pytest.raises(FileNotFoundError, match=r"model\.skops"):
        load(tmp_path)
    with pytest.raises(ValueError, match=r"hostile\.skops"):
        read_facts(hostile.path)


def test_facts_do_not_decide_what_is_built(plain, hostile, write_members, rows):
    facts = json.loads(plain[FACTS])
    for change in ({"weights_files": ["../../x", 3]}, {"weights_files": {"../x": 1}}, {"model": 3}):
        members = plain | {FACTS: json.dumps(facts | change).encode()}
        write_members(hostile.path, members)
        load(hostile.path).predict(rows[0])
