//! How does a Python object become bytes for another process, and back?
//!
//! MessagePack, for what it has a form for, and five extensions: a tuple, an integer beyond 64 bits, a buffer that
//! travels beside the structure, an object that `dfm._values.reduce` turned into a name and a simpler value, and text
//! that is not Unicode's, as the names of files may be.

use std::collections::HashMap;

use bytes::Bytes;
use dfm_runtime::{Incoming, Outgoing, Part};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyByteArray, PyBytes, PyDict, PyFloat, PyInt, PyList, PyMemoryView, PyString, PyTuple};
use rmp::Marker;
use rmp::decode::RmpRead;
use rmp::encode;

use crate::buffers::{Held, Memory, bytes_of};
use crate::weight::Budget;

const TUPLE: i8 = 1;
const BIG_INTEGER: i8 = 2;
const BUFFER: i8 = 3;
const REDUCED: i8 = 4;
const TEXT: i8 = 5;
/// How texts with lone surrogates become bytes.
const SURROGATES: (&str, &str) = ("utf-8", "surrogatepass");

/// Bytes from this length on travel beside the structure.
const BESIDE_FROM: usize = 4096;
/// Python's side is asked whether a value of this size may travel; no limit is below it.
const LARGE: usize = 1 << 16;
/// What is nested deeper contains itself, or would exhaust the receiver's stack.
const MAX_DEPTH: usize = 200;
/// About what one of Python's objects takes, in bytes, beside what came for it.
const OBJECT: usize = 64;
/// So many keys of a dictionary may have the same hash: looking one up tries all of them.
const MOST_ALIKE: u32 = 64;

/// An integer has at most so many hexadecimal digits: to compute with longer ones takes minutes.
const MOST_DIGITS: usize = 100_000;

/// What a buffer was.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Bytes = 0,
    ByteArray = 1,
    View = 2,
}

/// The object as bytes.
///
/// # Errors
/// A `TypeError` or `ValueError` that says what cannot travel, and what to do.
pub fn to_bytes(object: &Bound<'_, PyAny>) -> PyResult<Outgoing> {
    let mut writer = Writer { head: vec![], buffers: vec![], reduced: false, budget: Budget::new() };
    writer.write(object, 0).map_err(|unsent| unsent.told(object.py()))?;
    let reduced = writer.reduced;
    let mut outgoing = Outgoing { head: writer.head, buffers: writer.buffers, warning: None, digest: None };
    let size = outgoing.size();
    if reduced || size >= LARGE {
        let py = object.py();
        outgoing.warning = python_side(py)?.call_method1(intern!(py, "sent"), (object, size))?.extract()?;
    }
    Ok(outgoing)
}

/// The object that another process turned into bytes.
///
/// # Errors
/// A `ValueError` for bytes that are no value; whatever `dfm._values.restore` refuses.
pub fn from_bytes<'py>(py: Python<'py>, incoming: Incoming) -> PyResult<Bound<'py, PyAny>> {
    let size = incoming.size();
    let left =
        if size >= LARGE { python_side(py)?.call_method1(intern!(py, "received"), (size,))?.extract()? } else { None };
    let mut reader = Reader { py, buffers: incoming.buffers.into_iter().map(Some).collect(), left };
    let mut rest = incoming.head.as_slice();
    let object = reader.read(&mut rest, 0)?;
    if rest.is_empty() { Ok(object) } else { Err(broken("more than one value")) }
}

/// What is wrong with a part of a value.
struct Unsent {
    error: PyErr,
    /// The way to the part, its last step first.
    way: Vec<Step>,
}

/// How a value leads to a part of it.
enum Step {
    /// By a list's index or a dictionary's key.
    Item(Py<PyAny>),
    /// By what an object was reduced to, under this name.
    Object(Py<PyAny>, Py<PyAny>),
}

impl Unsent {
    fn in_item(mut self, key: impl FnOnce() -> PyResult<Py<PyAny>>) -> Self {
        if let Ok(key) = key() {
            self.way.push(Step::Item(key));
        }
        self
    }

    /// The error that says where the part is.
    fn told(self, py: Python<'_>) -> PyErr {
        if self.way.is_empty() {
            return self.error;
        }
        let error = self.error.clone_ref(py);
        let located = || -> PyResult<PyErr> {
            let steps = PyList::empty(py);
            for step in self.way.into_iter().rev() {
                steps.append(match step {
                    Step::Item(key) => (intern!(py, "item"), key.into_bound(py), py.None().into_bound(py)),
                    Step::Object(object, name) => (intern!(py, "object"), object.into_bound(py), name.into_bound(py)),
                })?;
            }
            let told = python_side(py)?.call_method1(intern!(py, "located"), (error.into_value(py), steps))?;
            Ok(PyErr::from_value(told))
        };
        located().unwrap_or(self.error)
    }
}

impl<E: Into<PyErr>> From<E> for Unsent {
    fn from(error: E) -> Self {
        Self { error: error.into(), way: vec![] }
    }
}

struct Writer {
    head: Vec<u8>,
    buffers: Vec<Bytes>,
    /// Whether Python's side has taken part of it apart.
    reduced: bool,
    budget: Budget,
}

impl Writer {
    fn write(&mut self, object: &Bound<'_, PyAny>, depth: usize) -> Result<(), Unsent> {
        if depth > MAX_DEPTH {
            let why = format!("it is nested more than {MAX_DEPTH} levels deep, or contains itself");
            return Err(refused(object, &why, "return data of fewer levels, such as a list of its parts"));
        }
        self.budget.spend(object, 1, 0)?;
        let out = &mut self.head;
        if object.is_none() {
            encode::write_nil(out).map_err(unwritable)?;
        } else if let Ok(text) = object.cast_exact::<PyString>() {
            if let Ok(text) = text.to_str() {
                self.budget.spend(object, 0, text.len())?;
                encode::write_str(out, text).map_err(unwritable)?;
            } else {
                let bytes = text.call_method1(intern!(text.py(), "encode"), SURROGATES)?;
                self.extension(TEXT, bytes.cast::<PyBytes>().map_err(PyErr::from)?.as_bytes())?;
            }
        } else if let Ok(flag) = object.cast_exact::<PyBool>() {
            encode::write_bool(out, flag.is_true()).map_err(unwritable)?;
        } else if object.is_exact_instance_of::<PyInt>() {
            if let Ok(number) = object.extract::<i64>() {
                encode::write_sint(out, number).map_err(unwritable)?;
            } else if let Ok(number) = object.extract::<u64>() {
                encode::write_uint(out, number).map_err(unwritable)?;
            } else {
                let digits = object.call_method1(intern!(object.py(), "__format__"), ("x",))?;
                let digits = digits.cast::<PyString>().map_err(PyErr::from)?;
                if digits.len()? > MOST_DIGITS {
                    let why = format!("an integer of more than {MOST_DIGITS} hexadecimal digits does not travel");
                    return Err(refused(object, &why, "return its bytes, as value.to_bytes gives them"));
                }
                self.extension(BIG_INTEGER, digits.to_str()?.as_bytes())?;
            }
        } else if let Ok(number) = object.cast_exact::<PyFloat>() {
            encode::write_f64(out, number.value()).map_err(unwritable)?;
        } else if let Ok(list) = object.cast_exact::<PyList>() {
            let items = list.to_tuple();
            encode::write_array_len(out, length(items.len())?).map_err(unwritable)?;
            self.items(&items, depth)?;
        } else if let Ok(dict) = object.cast_exact::<PyDict>() {
            // While a part of it is encoded in Python, another thread may change it, which iterating does not bear.
            let pairs = dict.items();
            encode::write_map_len(out, length(pairs.len())?).map_err(unwritable)?;
            for pair in pairs {
                let (key, value): (Bound<'_, PyAny>, Bound<'_, PyAny>) = pair.extract()?;
                let step = || Ok(key.clone().unbind());
                self.write(&key, depth + 1).map_err(|unsent| unsent.in_item(step))?;
                self.write(&value, depth + 1).map_err(|unsent| unsent.in_item(step))?;
            }
        } else if let Ok(tuple) = object.cast_exact::<PyTuple>() {
            let outer = std::mem::take(&mut self.head);
            encode::write_array_len(&mut self.head, length(tuple.len())?).map_err(unwritable)?;
            self.items(tuple, depth)?;
            let inner = std::mem::replace(&mut self.head, outer);
            self.extension(TUPLE, &inner)?;
        } else if let Ok(bytes) = object.cast_exact::<PyBytes>() {
            if bytes.as_bytes().len() < BESIDE_FROM {
                self.budget.spend(object, 0, bytes.as_bytes().len())?;
                encode::write_bin(out, bytes.as_bytes()).map_err(unwritable)?;
            } else {
                self.buffer(object, Kind::Bytes)?;
            }
        } else if object.is_exact_instance_of::<PyByteArray>() {
            self.buffer(object, Kind::ByteArray)?;
        } else if object.is_exact_instance_of::<PyMemoryView>() {
            let py = object.py();
            let flat = object.getattr(intern!(py, "ndim"))?.extract::<usize>()? == 1
                && object.getattr(intern!(py, "contiguous"))?.is_truthy()?;
            if !flat || object.getattr(intern!(py, "format"))?.extract::<String>()? != "B" {
                let why = "a memoryview travels if it is of bytes that follow each other";
                return Err(refused(object, why, "return value.tobytes(), or an array"));
            }
            self.buffer(object, Kind::View)?;
        } else {
            let reduced = python_side(object.py())?.call_method1(intern!(object.py(), "reduce"), (object,))?;
            self.reduced = true;
            let outer = std::mem::take(&mut self.head);
            let (name, state): (Bound<'_, PyAny>, Bound<'_, PyAny>) = reduced.extract()?;
            self.write(&name, depth + 1)?;
            self.write(&state, depth + 1).map_err(|mut unsent| {
                unsent.way.push(Step::Object(object.clone().unbind(), name.unbind()));
                unsent
            })?;
            let inner = std::mem::replace(&mut self.head, outer);
            self.extension(REDUCED, &inner)?;
        }
        Ok(())
    }

    fn items(&mut self, items: &Bound<'_, PyTuple>, depth: usize) -> Result<(), Unsent> {
        for (at, item) in items.iter().enumerate() {
            let step = || Ok(at.into_pyobject(items.py())?.into_any().unbind());
            self.write(&item, depth + 1).map_err(|unsent| unsent.in_item(step))?;
        }
        Ok(())
    }

    fn extension(&mut self, tag: i8, payload: &[u8]) -> PyResult<()> {
        encode::write_ext_meta(&mut self.head, length(payload.len())?, tag).map_err(unwritable)?;
        self.head.extend_from_slice(payload);
        Ok(())
    }

    fn buffer(&mut self, object: &Bound<'_, PyAny>, kind: Kind) -> PyResult<()> {
        let held = Held::new(object)?;
        let mut payload = [kind as u8; 5];
        payload[1..].copy_from_slice(&length(self.buffers.len())?.to_le_bytes());
        self.buffers.push(Bytes::from_owner(held));
        self.extension(BUFFER, &payload)
    }
}

struct Reader<'py> {
    py: Python<'py>,
    buffers: Vec<Option<Part>>,
    /// How many bytes more the value may become; `None` for as many as it likes.
    left: Option<usize>,
}

impl<'py> Reader<'py> {
    fn read(&mut self, rest: &mut &[u8], depth: usize) -> PyResult<Bound<'py, PyAny>> {
        if depth > MAX_DEPTH {
            return Err(broken("nested too deeply"));
        }
        if let Some(left) = &mut self.left {
            *left = left.checked_sub(OBJECT).ok_or_else(|| broken("they would become too large a value"))?;
        }
        let py = self.py;
        let marker = Marker::from_u8(rest.read_u8().map_err(short)?);
        Ok(match marker {
            Marker::Null => py.None().into_bound(py),
            Marker::True => PyBool::new(py, true).to_owned().into_any(),
            Marker::False => PyBool::new(py, false).to_owned().into_any(),
            Marker::FixPos(number) => integer(py, number),
            Marker::FixNeg(number) => integer(py, number),
            Marker::U8 => integer(py, rest.read_data_u8().map_err(short)?),
            Marker::U16 => integer(py, rest.read_data_u16().map_err(short)?),
            Marker::U32 => integer(py, rest.read_data_u32().map_err(short)?),
            Marker::U64 => integer(py, rest.read_data_u64().map_err(short)?),
            Marker::I8 => integer(py, rest.read_data_i8().map_err(short)?),
            Marker::I16 => integer(py, rest.read_data_i16().map_err(short)?),
            Marker::I32 => integer(py, rest.read_data_i32().map_err(short)?),
            Marker::I64 => integer(py, rest.read_data_i64().map_err(short)?),
            Marker::F32 => PyFloat::new(py, rest.read_data_f32().map_err(short)?.into()).into_any(),
            Marker::F64 => PyFloat::new(py, rest.read_data_f64().map_err(short)?).into_any(),
            Marker::FixStr(len) => self.text(rest, len.into())?,
            Marker::Str8 => {
                let len = rest.read_data_u8().map_err(short)?.into();
                self.text(rest, len)?
            }
            Marker::Str16 => {
                let len = rest.read_data_u16().map_err(short)?.into();
                self.text(rest, len)?
            }
            Marker::Str32 => {
                let len = rest.read_data_u32().map_err(short)? as usize;
                self.text(rest, len)?
            }
            Marker::Bin8 => {
                let len = rest.read_data_u8().map_err(short)?.into();
                PyBytes::new(py, take(rest, len)?).into_any()
            }
            Marker::Bin16 => {
                let len = rest.read_data_u16().map_err(short)?.into();
                PyBytes::new(py, take(rest, len)?).into_any()
            }
            Marker::Bin32 => {
                let len = rest.read_data_u32().map_err(short)? as usize;
                PyBytes::new(py, take(rest, len)?).into_any()
            }
            Marker::FixArray(len) => self.list(rest, len.into(), depth)?,
            Marker::Array16 => {
                let len = rest.read_data_u16().map_err(short)?.into();
                self.list(rest, len, depth)?
            }
            Marker::Array32 => {
                let len = rest.read_data_u32().map_err(short)?;
                self.list(rest, len, depth)?
            }
            Marker::FixMap(len) => self.dict(rest, len.into(), depth)?,
            Marker::Map16 => {
                let len = rest.read_data_u16().map_err(short)?.into();
                self.dict(rest, len, depth)?
            }
            Marker::Map32 => {
                let len = rest.read_data_u32().map_err(short)?;
                self.dict(rest, len, depth)?
            }
            Marker::FixExt1 => self.extension(rest, 1, depth)?,
            Marker::FixExt2 => self.extension(rest, 2, depth)?,
            Marker::FixExt4 => self.extension(rest, 4, depth)?,
            Marker::FixExt8 => self.extension(rest, 8, depth)?,
            Marker::FixExt16 => self.extension(rest, 16, depth)?,
            Marker::Ext8 => {
                let len = rest.read_data_u8().map_err(short)?.into();
                self.extension(rest, len, depth)?
            }
            Marker::Ext16 => {
                let len = rest.read_data_u16().map_err(short)?.into();
                self.extension(rest, len, depth)?
            }
            Marker::Ext32 => {
                let len = rest.read_data_u32().map_err(short)? as usize;
                self.extension(rest, len, depth)?
            }
            Marker::Reserved => return Err(broken("a reserved marker")),
        })
    }

    fn text(&self, rest: &mut &[u8], len: usize) -> PyResult<Bound<'py, PyAny>> {
        let text = str::from_utf8(take(rest, len)?).map_err(|_| broken("text that is not UTF-8"))?;
        Ok(PyString::new(self.py, text).into_any())
    }

    fn list(&mut self, rest: &mut &[u8], len: u32, depth: usize) -> PyResult<Bound<'py, PyAny>> {
        let list = PyList::empty(self.py);
        for _ in 0..len {
            list.append(self.read(rest, depth + 1)?)?;
        }
        Ok(list.into_any())
    }

    fn dict(&mut self, rest: &mut &[u8], len: u32, depth: usize) -> PyResult<Bound<'py, PyAny>> {
        let dict = PyDict::new(self.py);
        let mut alike: HashMap<isize, u32> = HashMap::new();
        for _ in 0..len {
            let key = self.read(rest, depth + 1)?;
            // The hashes of texts are not to be foreseen; those of numbers can be chosen to be the same.
            if !key.is_exact_instance_of::<PyString>() {
                let same = alike.entry(key.hash()?).or_default();
                *same += 1;
                if *same > MOST_ALIKE {
                    return Err(broken("the keys of a dictionary were chosen to be slow to look up"));
                }
            }
            dict.set_item(key, self.read(rest, depth + 1)?)?;
        }
        Ok(dict.into_any())
    }

    fn extension(&mut self, rest: &mut &[u8], len: usize, depth: usize) -> PyResult<Bound<'py, PyAny>> {
        let py = self.py;
        let tag = rest.read_data_i8().map_err(short)?;
        let mut payload = take(rest, len)?;
        let object = match tag {
            TUPLE => self.read(&mut payload, depth)?.cast_into::<PyList>()?.to_tuple().into_any(),
            BIG_INTEGER => {
                if payload.len() > MOST_DIGITS {
                    return Err(broken("an integer with too many digits"));
                }
                let digits = str::from_utf8(payload).map_err(|_| broken("an integer that is none"))?;
                payload = &[];
                py.get_type::<PyInt>().call1((digits, 16))?
            }
            BUFFER => {
                let (&[kind, a, b, c, d], _) = payload.split_first_chunk().ok_or_else(|| broken("cut short"))?;
                payload = &[];
                let part = self.buffers.get_mut(u32::from_le_bytes([a, b, c, d]) as usize).and_then(Option::take);
                let part = part.ok_or_else(|| broken("a buffer is missing"))?;
                match kind {
                    kind if kind == Kind::Bytes as u8 => bytes_of(py, part.bytes())?.into_any(),
                    kind if kind == Kind::ByteArray as u8 => {
                        let memory = Bound::new(py, Memory::new(part))?;
                        PyByteArray::from(memory.as_any())?.into_any()
                    }
                    _ => PyMemoryView::from(Bound::new(py, Memory::new(part))?.as_any())?.into_any(),
                }
            }
            TEXT => {
                let bytes = PyBytes::new(py, payload);
                payload = &[];
                bytes.call_method1(intern!(py, "decode"), SURROGATES)?
            }
            REDUCED => {
                let name = self.read(&mut payload, depth + 1)?;
                let state = self.read(&mut payload, depth + 1)?;
                python_side(py)?.call_method1(intern!(py, "restore"), (name, state))?
            }
            _ => return Err(broken("an unknown extension")),
        };
        if payload.is_empty() { Ok(object) } else { Err(broken("more than one value")) }
    }
}

fn python_side(py: Python<'_>) -> PyResult<Bound<'_, PyModule>> {
    py.import(intern!(py, "dfm._values"))
}

fn integer<'py, T: IntoPyObject<'py, Target = PyInt, Output = Bound<'py, PyInt>>>(
    py: Python<'py>,
    number: T,
) -> Bound<'py, PyAny> {
    match number.into_pyobject(py) {
        Ok(number) => number.into_any(),
        Err(_) => unreachable!("an integer of a machine word is always a Python integer"),
    }
}

fn take<'a>(rest: &mut &'a [u8], len: usize) -> PyResult<&'a [u8]> {
    let (taken, left) = rest.split_at_checked(len).ok_or_else(|| broken("cut short"))?;
    *rest = left;
    Ok(taken)
}

/// What is wrong with plain data, as all that cannot be sent is told.
fn refused(object: &Bound<'_, PyAny>, why: &str, remedy: &str) -> Unsent {
    let py = object.py();
    let told = python_side(py).and_then(|side| side.call_method1(intern!(py, "refused"), (object, why, remedy)));
    Unsent::from(told.map_or_else(|error| error, PyErr::from_value))
}

fn length(len: usize) -> PyResult<u32> {
    u32::try_from(len)
        .map_err(|_| PyValueError::new_err("a value of more than 2³² parts cannot be sent; send some of them at once"))
}

fn short<E>(_: E) -> PyErr {
    broken("cut short")
}

fn broken(what: &str) -> PyErr {
    PyValueError::new_err(format!("these bytes are not an encoded value: {what}"))
}

fn unwritable<E: std::fmt::Display>(error: E) -> PyErr {
    PyTypeError::new_err(error.to_string())
}
