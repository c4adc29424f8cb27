"""What does a process make of bytes that are no value of anybody's, and of values that are larger than they look?

Each runs in a process of its own whose memory and time are bounded, as what they attack would take those of this one.
"""
# pyright: basic, reportMissingImports=false

import subprocess
import sys

import pytest

HEAD = """
import resource, signal, struct
resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30))
signal.alarm(10)
from dfm import _values, _native

_values.set_policy(lenient=False, packages=["small"], modules=["small.adapters"])

class Forged:
    pass

def forged(name, state):
    "The encoding of an object that has been taken apart so."
    honest, _values.reduce = _values.reduce, lambda value: (name, state) if type(value) is Forged else honest(value)
    try:
        return _values.dumps(Forged())
    finally:
        _values.reduce = honest

def framed(head):
    "The bytes of a value without parts beside its structure."
    return struct.pack("<Q", len(head)) + head

def refused(data, *kinds):
    try:
        value = _values.loads(data)
    except kinds or (ValueError, TypeError) as error:
        print("refused:", type(error).__name__, error)
    else:
        print("made:", type(value), str(value)[:200])
"""


def attacked(small, code):
    """What an attack's process says."""
    done = subprocess.run([sys.executable, "-c", HEAD + code], cwd=small, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, (done.returncode, done.stdout, done.stderr[-2000:])
    return done.stdout


@pytest.mark.parametrize(
    "forged",
    {
        "a fraction of a hundred million digits": '"fraction", "1e100000000"',
        "one that takes minutes to shorten": '"fraction", [3 ** 2000000, 7 ** 2000000]',
        "a decimal number whose integer has a billion digits": '"decimal", "1e999999999"',
        "a set of numbers with the same hash": '"set", [n * (2**61 - 1) for n in range(30000)]',
        "a set of a range": '"set", range(10**9)',
        "an image of 40,000 by 40,000 pixels": '"image", ["RGB", [40000, 40000], b""]',
        "an image whose size overflows": '"image", ["RGB", [2**40, 2**40], b""]',
        "a zone that is a file's path": '"datetime", ["2020-01-01T00:00:00", "../../../../etc/passwd", 0]',
        "a range of texts": '"range", ["a", "b", "c"]',
        "an array of objects": '"numpy", ["O", [1], "C", bytes(8)]',
        "an array of objects in a field": '"numpy", [[["a", "O"]], [1], "C", bytes(8)]',
        "an array larger than its bytes": '"numpy", ["<f8", [10**12], "C", bytes(8)]',
        "a time span of texts": '"timedelta", ["1", 2, 3]',
        "a type that nobody knows": '"os.system", "id"',
        "an image in another format": '"image-file", b"%!PS-Adobe-3.0 EPSF-3.0\\n%%BoundingBox: 0 0 9 9\\n%%EOF\\n"',
    }.items(),
    ids=lambda one: one[0],
)
def test_a_forged_object_is_refused_at_once(small, forged):
    pytest.importorskip("PIL")
    attack = f"refused(forged({forged[1]}), ValueError, TypeError, OSError, OverflowError)"
    assert attacked(small, attack).startswith("refused:")


def test_a_dictionary_whose_keys_collide_is_refused_at_once(small):
    attack = """
keys = b"".join(_values.dumps(n * (2**61 - 1))[8:] + b"\\xc0" for n in range(60000))
refused(framed(b"\\xdf" + struct.pack(">I", 60000) + keys))
"""
    assert "slow to look up" in attacked(small, attack)


def test_a_loop_over_a_range_is_bounded(small):
    attack = """
for value in (range(10**9), iter(lambda: 1, 2), [0] * (1 << 21)):
    try:
        print(len(_values.elements(value)))
    except Exception as error:
        print(type(error).__name__)
"""
    assert attacked(small, attack).split() == ["LimitError"] * 3


def test_many_small_objects_count_as_what_they_become(small):
    attack = """
_values.policy.max_value = 1 << 20
refused(framed(b"\\xdd" + struct.pack(">I", 1 << 19) + b"\\x90" * (1 << 19)))
"""
    assert "too large" in attacked(small, attack)


def test_no_memory_of_the_process_is_read_through_an_arrow_buffer(small):
    pytest.importorskip("pyarrow")
    attack = """
import pyarrow
for kind, columns in {"offsets": {"x": pyarrow.array([b"ABC", b"DEFG"], pyarrow.binary())},
                      "lists": {"x": pyarrow.array([[7, 8, 9], [1, 2, 3, 4]], pyarrow.list_(pyarrow.int8()))}}.items():
    data = bytearray(_values.dumps(pyarrow.table(columns)))
    at = bytes(data).find(struct.pack("<iii", 0, 3, 7))
    for end in (100, 10_000, 2_000_000_000, -5):
        data[at : at + 12] = struct.pack("<iii", 0, 3, end)
        refused(bytes(data))
"""
    assert attacked(small, attack).count("refused: ValueError a table came that is damaged") == 8


def test_compressed_tables_and_tables_of_nothing_do_not_grow(small):
    pytest.importorskip("pyarrow")
    attack = """
import pyarrow
def written(table, **options):
    sink = pyarrow.BufferOutputStream()
    with pyarrow.ipc.new_stream(sink, table.schema, options=pyarrow.ipc.IpcWriteOptions(**options)) as writer:
        writer.write_table(table)
    return memoryview(sink.getvalue())
table = pyarrow.table({"x": pyarrow.array([b"A" * 100_000] * 1000)})
for codec in ("lz4", "zstd"):
    packed = written(table, compression=codec)
    assert packed.nbytes < 1_000_000
    refused(forged("arrow", packed))
_values.policy.max_value = 1 << 20
refused(forged("arrow", written(pyarrow.table({"x": pyarrow.nulls(1 << 30)}))))
"""
    said = attacked(small, attack).splitlines()
    assert ["compressed" in said[0], "compressed" in said[1], "would become" in said[2]] == [True] * 3


def test_a_class_is_found_by_its_own_name_alone(small):
    attack = """
import small.adapters
refused(forged("enum", ["small.adapters:signal.Signals", "SIGKILL"]))
refused(forged("enum", ["signal:Signals", "SIGKILL"]))
refused(forged("dataclass", ["small.adapters:contextvars.ContextVar", {}]))
refused(forged("dataclass", ["dfm._answers:dataclasses.Field", {}]))
import dfm._answers
kind = dfm._answers.AdvisedLiteral
refused(forged("dataclass", [f"{kind.__module__}:{kind.__qualname__}", {"value": 1, "__class__": 5}]))
"""
    assert attacked(small, attack).count("refused:") == 5


def test_a_module_is_not_imported_because_a_message_says_so(small):
    (small / "small" / "acts.py").write_text("print('imported')\nclass X: pass\n")
    attack = 'refused(forged("dataclass", ["small.acts:X", {}]))'
    said = attacked(small, attack)
    assert "imported" not in said.splitlines() and "not imported here" in said
