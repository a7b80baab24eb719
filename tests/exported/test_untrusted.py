"""Functions that a stranger made: refused by name and reason, before anything of them is run."""

import copy
import dataclasses
import json
import os
import shutil
import subprocess
import sys

import jax
import jax.numpy as jnp
import pytest
from jax import export
from jax.interpreters.mlir import make_ir_context

from gdlab import store
from gdlab.exported import checking, open_functions, write_functions
from gdlab.exported.checking import PLATFORMS
from gdlab.store import checksums
from gdlab.store import functions as files

SHAPES = [jax.ShapeDtypeStruct((3,), jnp.float32), jax.ShapeDtypeStruct((4, 3), jnp.float32)]


def loss(params, batch):
    return jnp.mean((batch["x"] @ params["w"]) ** 2)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("written")
    params, batch = {"w": jnp.ones(3)}, {"x": jnp.ones((4, 3))}
    assert write_functions(folder, params=params, batch=batch, loss=loss) == []
    return folder


@pytest.fixture
def folder(written, tmp_path):
    """A copy of one's own."""
    return shutil.copytree(written, tmp_path, dirs_exist_ok=True)


# A program, and of how many examples it is taken: of any other number than the recorded one the ordinary one.
BOTH = pytest.mark.parametrize(("part", "count"), [("value_exact", 4), ("value", 5)])


def asked(folder, count=4):
    """The loss of the run in `folder`, computed."""
    problem = open_functions(folder).problem()
    return float(jax.jit(problem.loss)({"w": jnp.ones(3)}, {"x": jnp.ones((count, 3))}))


def program(folder, part="value_exact"):
    return folder / "functions" / files.read(folder).functions["loss"].programs[part].file


def forge(folder, data):
    """Put a program in the place of the loss, with the checksums that belong to it."""
    document = files.read(folder)
    programs = {part: files.load(folder, one) for part, one in document.functions["loss"].programs.items()}
    files.write(folder, document, {"loss": {**programs, "value_exact": data}})


def refused(folder, data, *words):
    forge(folder, data)
    with pytest.raises(store.Refused) as caught:
        asked(folder)
    text = str(caught.value)
    assert str(program(folder)) in text and all(word in text for word in words), text


def serialised(function, shapes=SHAPES, **options):
    return bytes(export.export(jax.jit(function), platforms=["cpu"], **options)(*shapes).serialize())


def calling(name):
    """A loss that calls `name` of whatever jaxlib has registered."""
    call = jax.ffi.ffi_call(name, jax.ShapeDtypeStruct((), jnp.float32))
    return serialised(lambda w, x: call(x), disabled_checks=[export.DisabledSafetyCheck.custom_call(name)])


def from_text(body):
    """A program whose module is written by hand."""
    honest = export.export(jax.jit(lambda w, x: jnp.float32(0) + w[0]), platforms=["cpu"])(*SHAPES)
    from jaxlib.mlir import ir

    head = "func.func public @main(%w: tensor<3xf32>, %x: tensor<4x3xf32>) -> tensor<f32>"
    with make_ir_context():
        module = ir.Module.parse(f"module @m {{ {head} {{ {body} }} }}")
        from jax._src.lib import _jax

        data = _jax.mlir.serialize_portable_artifact(module, "1.9.0", False)
    return bytes(
        dataclasses.replace(honest, mlir_module_serialized=data, module_kept_var_idx=(0, 1)).serialize()
    )


def test_what_is_written_is_computed(folder):
    assert asked(folder) == 9.0


@pytest.mark.parametrize("name", ["xla_ffi_python_cpu_callback", "xla_python_cpu_callback", "my_own_code"])
def test_a_foreign_custom_call_is_refused(folder, name):
    data = calling(name)
    honest = export.deserialize(bytearray(data))
    assert honest.disabled_safety_checks
    refused(folder, data, "switched off")
    clean = dataclasses.replace(honest, disabled_safety_checks=())
    refused(folder, bytes(clean.serialize()), f"it calls {name}", "allowed: shape_assertion")


def test_what_talks_to_the_host_or_to_other_devices_is_refused(folder):
    token = "%t = stablehlo.create_token : !stablehlo.token"
    infeed = f'{token} %r:2 = "stablehlo.infeed"(%t) : (!stablehlo.token) -> (tensor<f32>, !stablehlo.token)'
    refused(folder, from_text(f"{infeed} return %r#0 : tensor<f32>"), "the operation stablehlo.infeed")
    number = (
        "%n = stablehlo.replica_id : tensor<ui32> %f = stablehlo.convert %n : (tensor<ui32>) -> tensor<f32>"
    )
    refused(folder, from_text(f"{number} return %f : tensor<f32>"), "stablehlo.replica_id")
    honest = "%c = stablehlo.constant dense<4.0> : tensor<f32> return %c : tensor<f32>"
    forge(folder, from_text(honest))
    assert asked(folder) == 4.0


def test_another_functions_program_is_refused(folder):
    other = [jax.ShapeDtypeStruct((3,), jnp.float32)] * 2
    refused(folder, serialised(lambda w, x: w.sum(), other), "float32(3,) as number 1", "another function's")
    refused(folder, serialised(lambda w, x: w), "it gives float32(3,)")
    refused(folder, serialised(lambda w: w.sum(), SHAPES[:1]), "it takes 1 arrays, not 2")


def test_a_program_that_says_other_than_its_module_is_refused(folder):
    honest = export.export(jax.jit(lambda w, x: w.sum() + x.sum()), platforms=["cpu"])(*SHAPES)
    wide = [SHAPES[0], jax.ShapeDtypeStruct((400, 3), jnp.float32)]
    other = export.export(jax.jit(lambda w, x: w.sum() + x.sum()), platforms=["cpu"])(*wide)
    lying = dataclasses.replace(honest, mlir_module_serialized=other.mlir_module_serialized)
    refused(folder, bytes(lying.serialize()), "its module has tensor<400x3xf32>")


def test_bytes_that_are_no_program_are_refused_with_who_wrote_them_and_what_else_helps(folder):
    words = (f"by JAX {jax.__version__}", "6 months", "GDLAB_TARGETS")
    refused(folder, b"not a program at all" * 50, "no program that JAX", *words)
    honest = export.export(jax.jit(loss_of_leaves), platforms=["cpu"])(*SHAPES)
    refused(
        folder, bytes(dataclasses.replace(honest, mlir_module_serialized=b"ML\xefR").serialize()), "no module"
    )


def loss_of_leaves(w, x):
    return loss({"w": w}, {"x": x})


@BOTH
def test_a_truncated_and_an_altered_file_are_damage(folder, part, count):
    there = program(folder, part)
    whole = there.read_bytes()
    for data, words in (
        (whole[:-100], "were written"),
        (whole[:200] + bytes([whole[200] ^ 1]) + whole[201:], "its checksum is"),
    ):
        there.write_bytes(data)
        with pytest.raises(store.DamagedRun, match=words) as caught:
            asked(folder, count)
        assert str(there) in str(caught.value)
    there.unlink()
    with pytest.raises(store.DamagedRun, match="missing"):
        asked(folder, count)


@BOTH
def test_a_huge_file_is_not_read(folder, part, count):
    os.truncate(program(folder, part), 1 << 40)  # a hole: it takes no room
    with pytest.raises(store.DamagedRun, match="are possible"):
        asked(folder, count)


@BOTH
def test_links_and_pipes_are_not_opened(folder, tmp_path_factory, part, count):
    there = program(folder, part)
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "program"
    there.rename(elsewhere)
    there.symlink_to(elsewhere)
    with pytest.raises(store.DamagedRun, match="a link"):
        asked(folder, count)
    there.unlink()
    os.mkfifo(there)
    with pytest.raises(store.DamagedRun, match="not a regular file"):
        asked(folder, count)
    whole = folder / "functions"
    whole.rename(elsewhere.parent / "functions")
    whole.symlink_to(elsewhere.parent / "functions")
    with pytest.raises(store.DamagedRun, match="a link leads out"):
        open_functions(folder)
    with pytest.raises(store.DamagedRun, match="a link leads out"):
        write_functions(folder, params={"w": jnp.ones(3)}, batch={"x": jnp.ones((4, 3))}, loss=loss)


def rewrite(folder, change):
    """functions.json with something else in it, and a checksum that fits."""
    where = folder / "functions" / "functions.json"
    document = json.loads(where.read_bytes())
    document.pop("checksum")
    change(document)
    where.write_bytes(checksums.sealed(checksums.placed(document), indent=1))


NASTY = [None, -1, 1 << 70, 1.5, True, "", "../../x", "x" * 5000, [], [None], {}, {"a": []}, [[["x"]]]]


def places(document, at=()):
    """Every place in a document but those of the leaves beyond the first of a list."""
    yield at
    inner = document.items() if isinstance(document, dict) else list(enumerate(document))[:1]
    for key, child in inner:
        if isinstance(child, dict | list):
            yield from places(child, (*at, key))
        else:
            yield (*at, key)


def test_whatever_stands_in_the_description_the_answer_is_in_words(folder):
    where = folder / "functions" / "functions.json"
    whole = where.read_bytes()
    document = json.loads(whole)
    tried = 0
    for place in [place for place in places(document) if place and place[0] != "checksum"]:
        for value in NASTY:
            changed = copy.deepcopy(document)
            node = changed
            for key in place[:-1]:
                node = node[key]
            node[place[-1]] = value
            changed.pop("checksum")
            where.write_bytes(checksums.sealed(checksums.placed(changed), indent=1))
            try:
                found = open_functions(folder)
                assert isinstance(found.names, tuple)
                found.params  # noqa: B018
            except (store.StoreError, ValueError) as error:
                assert str(error)
            tried += 1
    assert tried > 300
    where.write_bytes(whole.replace(b'"float32"', b'"float64"', 1))
    with pytest.raises(store.DamagedRun, match="its checksum is"):
        open_functions(folder)


@pytest.mark.parametrize("dtype", ["object", "str", "zzz99", "float8_e4m3fn", "float32 "])
def test_a_dtype_that_no_program_has_is_damage(folder, dtype):
    rewrite(folder, lambda d: d["trees"]["params"][0].update(dtype=dtype))
    with pytest.raises(store.DamagedRun, match=f"dtype '{dtype}', possible are bool"):
        open_functions(folder)
    assert set(checking._NAMES.values()) == set(files.DTYPES)


def test_a_program_outside_the_folder_cannot_be_named(folder):
    rewrite(folder, lambda d: d["functions"]["loss"]["programs"]["value"].update(file="../../etc/passwd"))
    with pytest.raises(store.DamagedRun, match="no such name"):
        open_functions(folder)
    rewrite(folder, lambda d: d.update(schema=99))
    with pytest.raises(store.NewerSchema, match="update gdlab"):
        open_functions(folder)


def test_a_run_without_functions_says_so(tmp_path):
    with pytest.raises(store.NoFunctions, match="carries no functions"):
        open_functions(tmp_path)
    assert files.names(tmp_path) == ()


OPENING = """
import random, sys
from gdlab.exported import checking
from gdlab.store import Refused
data, seed = open(sys.argv[1], "rb").read(), int(sys.argv[2])
random.seed(seed)
for number in range(40):
    changed = bytearray(data)
    for _ in range(random.choice((1, 3, 20))):
        changed[random.randrange(len(changed))] = random.randrange(256)
    try:
        checking.opened(bytes(changed), [], [], "there")
    except Refused:
        pass
print("alive")
"""


def test_whatever_bytes_are_parsed_only_the_process_that_parses_may_die(folder):
    """No exception but Refused leaves the parser; where it takes its process along, that is the worker's."""
    call = [sys.executable, "-c", OPENING, str(program(folder)), "0"]
    done = subprocess.run(call, capture_output=True, text=True, timeout=300)
    assert done.stdout == "alive\n" or done.returncode < 0, done.stderr[-2000:]


def test_files_that_are_no_longer_named_are_removed(folder):
    before = {path.name for path in (folder / "functions").iterdir()}
    write_functions(folder, params={"w": jnp.ones(2)}, batch={"x": jnp.ones((4, 2))}, loss=loss)
    after = {path.name for path in (folder / "functions").iterdir()}
    assert len(after) == len(before) and before & after == {"functions.json"}


def test_no_path_of_the_writers_machine_is_in_the_files(folder):
    for path in (folder / "functions").iterdir():
        data = path.read_bytes()
        assert os.fsencode(os.path.dirname(__file__)) not in data and b"test_untrusted" not in data


def test_every_platform_is_there(folder):
    found = export.deserialize(bytearray(program(folder, "value").read_bytes()))
    assert found.platforms == PLATFORMS
