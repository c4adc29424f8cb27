"""What does a process make of bytes that are no value of anybody's, and of values that are larger than they look?

Each runs in a process of its own whose memory and time are bounded, as what they attack would take those of this one.
"""
# pyright: basic, reportMissingImports=false
# ruff: noqa: E501 (an attack is one line)

import subprocess
import sys

import pytest

HEAD = """
import resource, signal, struct
resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30))
signal.setitimer(signal.ITIMER_PROF, 20)  # of its own time, whatever else the machine does
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
    done = subprocess.run([sys.executable, "-c", HEAD + code], cwd=small, capture_output=True, text=True)
    assert done.returncode == 0, (done.returncode, done.stdout, done.stderr[-2000:])
    return done.stdout


@pytest.mark.parametrize(
    "forged",
    {
        "a fraction of a hundred million digits": '"fraction", "1e100000000"',
        "a decimal number whose integer has a billion digits": '"decimal", "1e999999999"',
        "a set of numbers with the same hash": '"set", [n * (2**61 - 1) for n in range(30000)]',
        "a set of a range": '"set", range(10**9)',
        "an image of 40,000 by 40,000 pixels": '"image", ["RGB", [40000, 40000], b""]',
        "an image whose size overflows": '"image", ["RGB", [2**40, 2**40], b""]',
        "a zone that is a file's path": '"datetime", ["2020-01-01T00:00:00", "../../../../etc/passwd", 0]',
        "a range of texts": '"range", ["a", "b", "c"]',
        "a table of nothing at all": '"arrow", memoryview(bytearray())',
        "a date after the last one": '"timedelta", [10**12, 0, 0]',
        "a fraction of nothing": '"fraction", [1, 0]',
        "a decimal number that is none": '"decimal", "one"',
        "a member that an enumeration has not": '"enum", ["small.adapters:State", "NONE"]',
        "an array of objects": '"numpy", ["O", [1], "C", bytes(8)]',
        "an array of objects in a field": '"numpy", [{"fields": [["a", "O", 0, None]], "size": 8, "aligned": False}, [1], "C", bytearray(8)]',
        "a field that is beyond its element": '"numpy", [{"fields": [["a", "<f8", 2**40, None]], "size": 8, "aligned": False}, [1], "C", bytearray(8)]',
        "an array of so many elements of nothing": '"numpy", ["<U0", [10**13], "C", bytearray()]',
        "an array of a negative length": '"numpy", ["<f8", [-1, -1], "C", bytearray(8)]',
        "an array in an endless dimension": '"numpy", ["<f8", [1] * 10**6, "C", bytearray(8)]',
        "a mask of another shape": '"numpy-masked", [np.zeros(3), np.zeros(10**6, bool), None, False]',
        "objects that are fewer than said": '"numpy-objects", [[10**9], [1]]',
        "a scalar larger than its bytes": '"numpy-scalar", ["<U250000000", b""]',
        "records that are none": '"numpy-records", np.zeros(3)',
        "a deque that throws away what came": '"deque", [[1] * 1000, 1]',
        "a default dictionary of code": '"default-dict", ["exec", {}]',
        "a default dictionary of a module's": '"default-dict", ["subprocess.Popen", {}]',
        "a class among Python's own": '"exception", ["builtins:type", ["x", [], {}], {}, {}, None]',
        "an end of the program": '"exception", ["builtins:SystemExit", [0], {}, {}, None]',
        "an exception of another package's": '"exception", ["subprocess:CalledProcessError", [1, "x"], {}, {}, None]',
        "an attribute that makes an exception another": '"exception", ["builtins:ValueError", [], {}, {"__class__": 1}, None]',
        "an attribute of an exception that is a method": '"exception", ["builtins:ValueError", [], {}, {"with_traceback": 1}, None]',
        "a named tuple of another package's": '"named-tuple", ["urllib.parse:ParseResult", {}]',
        "a path within a zone": '"datetime", ["2020-01-01T00:00:00", "Europe/../../etc/passwd", 0]',
        "a zone of another planet": '"datetime", ["2020-01-01T00:00:00", "Mars/Olympus", 0]',
        "an array of another system's": '"array", ["l", 4, bytearray(8)]',
        "an array of code": '"array", ["O", 8, bytearray(8)]',
        "columns that are not there": '"pandas-frame", [["range", None, 0, 10**6, 1], ["range", None, 0, 0, 1], [], {}, True]',
        "columns longer than their index": '"pandas-frame", [["range", None, 0, 1, 1], ["range", None, 0, 2, 1], [[[0], np.zeros(9)]], {}, True]',
        "an index of numbers without end": '"pandas-index", ["range", None, 0, 10**15, 1]',
        "an index that never moves": '"pandas-index", ["range", None, 0, 10, 0]',
        "an index whose members were chosen": '"pandas-index", ["of", None, hard(), None]',
        "categories that are not there": '"pandas-array", ["categories", np.full(9, 7, "i1"), ["range", None, 0, 2, 1], False]',
        "categories before the first": '"pandas-array", ["categories", np.full(9, -7, "i1"), ["range", None, 0, 2, 1], False]',
        "levels that are not there": '"pandas-index", ["levels", [None], [["range", None, 0, 2, 1]], [np.full(9, 7, "i1")]]',
        "a sparse column that is not": '"pandas-array", ["sparse", np.zeros(1), np.zeros(1, "i4"), 10**12, 0.0]',
        "a sparse column whose places are outside": '"pandas-array", ["sparse", np.zeros(1), np.full(1, 99, "i4"), 10, 0.0]',
        "a sparse column whose places are mixed": '"pandas-array", ["sparse", np.zeros(2), np.array([5, 1], "i4"), 10, 0.0]',
        "a frequency that is an essay": '"pandas-period", [1, "D" * 10**7]',
        "a frequency that is not the index's": '"pandas-index", ["of", None, np.array([5, 1, 9], "M8[D]"), "D"]',
        "a moment that is a text": '"pandas-timestamp", ["2020", None]',
        "nulls of another length": '"pandas-array", ["masked", "Int64", np.zeros(3, "i8"), np.zeros(2, bool)]',
        "a type of another package's": '"pandas-array", ["masked", "string", np.zeros(3, "i8"), np.zeros(3, bool)]',
        "indices outside a sparse matrix": '"scipy-sparse", ["csr", True, [2, 2], np.ones(1), np.full(1, 10**6, "i4"), np.array([0, 1, 1], "i4")]',
        "negative indices of a sparse matrix": '"scipy-sparse", ["csc", True, [2, 2], np.ones(1), np.full(1, -9, "i4"), np.array([0, 1, 1], "i4")]',
        "pointers outside a sparse matrix": '"scipy-sparse", ["csr", True, [2, 2], np.ones(1), np.zeros(1, "i4"), np.array([0, 10**6, 10**6], "i4")]',
        "pointers that go back": '"scipy-sparse", ["csr", False, [2, 2], np.ones(1), np.zeros(1, "i4"), np.array([0, 9, 1], "i4")]',
        "blocks outside a sparse matrix": '"scipy-sparse", ["bsr", True, [2, 2], np.ones((1, 2, 2)), np.full(1, 5, "i4"), np.array([0, 1], "i4")]',
        "places outside a sparse matrix": '"scipy-sparse", ["coo", True, [2, 2], np.ones(1), np.full(1, 5, "i4"), np.zeros(1, "i4")]',
        "diagonals outside a sparse matrix": '"scipy-sparse", ["dia", True, [2, 2], np.ones((1, 2)), np.full(1, -2**31, "i4")]',
        "a sparse matrix of many lists": '"scipy-sparse", ["lil", True, [10**12, 2], np.ones(0), np.zeros(0, "i4"), np.zeros(0, "i4")]',
        "a sparse matrix of objects": '"scipy-sparse", ["csr", True, [1, 1], np.array([None]), np.zeros(1, "i4"), np.array([0, 1], "i4")]',
        "a variable of other dimensions": '"xarray-variable", [["x", "y"], np.zeros(3), {}]',
        "a coordinate of another length": '"xarray-array", [[{"x": [["x"], index(9), {}, "<i8"]}, []], [["x"], np.zeros(3), {}], None]',
        "a coordinate that is no index": '"xarray-array", [[{"x": [["x"], np.zeros(3), {}, "<i8"]}, []], [["x"], np.zeros(3), {}], None]',
        "a tree of texts": '"xarray-tree", ["t", {"/": "x"}]',
        "an array larger than its bytes": '"numpy", ["<f8", [10**12], "C", bytes(8)]',
        "a time span of texts": '"timedelta", ["1", 2, 3]',
        "a type that nobody knows": '"os.system", "id"',
        "a file in place of an image": '"image", ["EPS", [9, 9], None, b"%!PS-Adobe-3.0 EPSF-3.0"]',
        "a palette of too many colours": '"image", ["P", [0, 0], ["RGB", bytes(10**6)], b""]',
    }.items(),
    ids=lambda one: one[0],
)
def test_a_forged_object_is_refused_at_once(forger, forged):
    assert forger(forged[1]).startswith("refused:")


FORGER = """
import os, sys
import numpy as np, pandas, xarray, scipy.sparse, PIL.Image
from small import adapters

def hard():
    made = np.empty(30000, object)
    made[:] = [n * (2**61 - 1) for n in range(30000)]
    return made

def index(length):
    return pandas.RangeIndex(length)

# One that is stuck, or takes too much, ends with this process, and the next asks for another.
for line in sys.stdin:
    signal.setitimer(signal.ITIMER_PROF, 20)
    refused(forged(*eval(line)))
    signal.setitimer(signal.ITIMER_PROF, 0)
    sys.stdout.flush()
"""


@pytest.fixture(scope="module")
def forger(small):
    """Says what a process makes of a forged object, given as Python's text."""
    processes = []

    def ask(text):
        if not processes or processes[-1].poll() is not None:
            code = [sys.executable, "-c", HEAD + FORGER]
            pipe, both = subprocess.PIPE, subprocess.STDOUT
            processes.append(subprocess.Popen(code, cwd=small, text=True, stdin=pipe, stdout=pipe, stderr=both))
        processes[-1].stdin.write(text + "\n")
        processes[-1].stdin.flush()
        if not (answer := processes[-1].stdout.readline()):
            processes[-1].wait()
        return answer

    yield ask
    for process in processes:
        process.stdin.close()
        process.wait()
        process.stdout.close()


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


def test_an_integer_has_a_limit(small):
    attack = """
most = 16 ** 100_000 - 1
assert _values.loads(_values.dumps(most)) == most and _values.loads(_values.dumps(-(most // 16))) == -(most // 16)
try:
    _values.dumps(most + 1)
except TypeError as error:
    print("refused:", error)
refused(framed(b"\\xc9" + struct.pack(">I", 5_000_000) + b"\\x02" + b"f" * 5_000_000))
"""
    said = attacked(small, attack)
    there, here = said.splitlines()
    assert "refused: " in there and "more than 100000 hexadecimal digits" in there
    assert "refused: ValueError" in here and "an integer with too many digits" in here


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
    return memoryview(sink.getvalue()).cast("B")
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


def test_a_column_of_a_type_that_python_has_no_class_for_is_refused(small):
    pytest.importorskip("pyarrow")
    attack = """
import pyarrow as pa
interval = pa.month_day_nano_interval()
for kind in (interval, pa.dictionary(pa.int8(), interval)):
    sink = pa.BufferOutputStream()
    pa.ipc.new_stream(sink, pa.schema({"c": kind})).close()
    data = bytes(sink.getvalue())
    # One byte of the schema says which kind of interval it is.
    changed = [data[:at] + b"\\0" + data[at + 1 :] for at in range(len(data)) if data[at] == 2]
    (months,) = [one for one in changed if "month_interval" in str(pa.ipc.open_stream(one).schema)]
    refused(forged("arrow", months))
# Its own functions end the process where there is a union of nothing.
for kind in (pa.sparse_union([]), pa.run_end_encoded(pa.int32(), pa.sparse_union([])), pa.list_(pa.dense_union([]))):
    sink = pa.BufferOutputStream()
    pa.ipc.new_stream(sink, pa.schema({"u": kind})).close()
    refused(forged("arrow", bytes(sink.getvalue())))
"""
    said = attacked(small, attack).splitlines()
    assert ["'c' has the type month_interval, which" in line for line in said[:2]] == [True] * 2
    assert ["_union<>, which Python cannot hold" in line for line in said[2:]] == [True] * 3


def test_tables_that_say_once_what_many_rows_have_do_not_grow(small):
    pytest.importorskip("pyarrow")
    attack = """
import pyarrow as pa
_values.policy.max_value = 1 << 20
long = pa.array(["x" * 500_000])
nothing = pa.array([0, 200_000_000], pa.int32())
# All look at the same, but for the last: it is null, and says that it is less than nothing.
views = struct.pack("<i4sii", 500_000, b"xxxx", 0, 0) * 1000 + struct.pack("<iiii", -(1 << 31), 0, 0, 0)
columns = [
    pa.DictionaryArray.from_arrays(pa.array([0] * 1000, pa.int8()), long),
    pa.RunEndEncodedArray.from_arrays(pa.array([1000], pa.int32()), long),
    pa.DictionaryArray.from_arrays(pa.array([0] * 1000, pa.int8()), pa.StructArray.from_arrays([long], ["s"])),
    pa.DictionaryArray.from_arrays(pa.array([0] * 1000, pa.int8()), pa.array([[b"x" * 500_000]])),
    pa.ListArray.from_arrays(
        pa.array([0, 1000], pa.int32()), pa.DictionaryArray.from_arrays(pa.array([0] * 1000, pa.int8()), long)
    ),
    pa.ListArray.from_arrays(nothing, pa.nulls(200_000_000)),
    pa.Array.from_buffers(
        pa.string_view(), 1001, [pa.py_buffer(b"\\xff" * 125 + b"\\0"), pa.py_buffer(views), pa.py_buffer(b"x" * 500_000)]
    ),
    pa.ListArray.from_arrays(nothing, pa.StructArray.from_arrays([pa.nulls(200_000_000)], ["n"])),
    pa.DictionaryArray.from_arrays(pa.array([0]), pa.Array.from_buffers(pa.struct([]), 200_000_000, [None])),
]
for column in columns:
    table = pa.table({"x": column})
    refused(_values.dumps(table))
honest = pa.table({"d": pa.array(["a", "b", None] * 1000).dictionary_encode(), "r": pa.nulls(3000)})
refused(_values.dumps(honest))
"""
    said = attacked(small, attack).splitlines()
    assert ["would become" in line for line in said[:9]] == [True] * 9, said
    assert said[9].startswith("made:")


def test_a_class_is_found_by_its_own_name_alone(small):
    attack = """
import small.adapters
refused(forged("enum", ["small.adapters:signal.Signals", "SIGKILL"]))
refused(forged("enum", ["signal:Signals", "SIGKILL"]))
refused(forged("dataclass", ["small.adapters:contextvars.ContextVar", {}]))
refused(forged("dataclass", ["dfm._discovery.answers:dataclasses.Field", {}]))
import dfm._discovery.answers
kind = dfm._discovery.answers.AdvisedLiteral
path = f"{kind.__module__}:{kind.__qualname__}"
refused(forged("dataclass", [path, {"value": 1, "__class__": 5}]))
refused(forged("dataclass", [path, {"value": 1, "__reduce__": 5}]))
refused(forged("named-tuple", ["small.adapters:Nothing", {}]))
from dfm.api import ErrorToken
token = ErrorToken.model_construct(errors=[])
path = f"{ErrorToken.__module__}:{ErrorToken.__qualname__}"
for fields, given, extra, private in (({"__class__": 1}, [], None, None), ({"model_dump": 1}, [], None, None),
                                      ({}, ["x"], None, None), ({}, [], {"__dict__": 1}, None), ({}, [], None, {"_x": 1})):
    refused(forged("model", [path, fields, given, extra, private]))
"""
    assert attacked(small, attack).count("refused:") == 12


def test_a_module_is_not_imported_because_a_message_says_so(small):
    (small / "small" / "acts.py").write_text("print('imported')\nclass X: pass\n")
    attack = 'refused(forged("dataclass", ["small.acts:X", {}]))'
    said = attacked(small, attack)
    assert "imported" not in said.splitlines() and "not imported here" in said
