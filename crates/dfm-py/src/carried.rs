//! `Carried` and `Hole`: a packet that Python carries to another site.

use dfm_runtime::Part;
use pyo3::prelude::*;

use crate::buffers::Memory;

/// A place in a packet where a part of another one belongs.
#[pyclass(frozen, module = "dfm._native", get_all, from_py_object)]
#[derive(Clone)]
pub struct Hole {
    /// Where, in the packet's content.
    at: usize,
    /// The other packet: its place among those that are taken together.
    packet: usize,
    /// Where the part begins in that one's content.
    begin: usize,
    /// How many bytes it has.
    size: usize,
}

#[pymethods]
impl Hole {
    #[new]
    fn new(at: usize, packet: usize, begin: usize, size: usize) -> Self {
        Self { at, packet, begin, size }
    }
}

/// A packet.
#[pyclass(frozen, module = "dfm._native", get_all)]
pub struct Carried {
    /// The site that it is for; empty of one that only fills holes.
    to: String,
    /// A buffer of what is in it, without what goes into its holes.
    content: Py<PyAny>,
    /// In their order.
    holes: Vec<Hole>,
}

#[pymethods]
impl Carried {
    #[new]
    #[pyo3(signature = (to, content, holes = vec![]))]
    fn new(to: String, content: Py<PyAny>, holes: Vec<Hole>) -> Self {
        Self { to, content, holes }
    }
}

impl Carried {
    pub fn of(py: Python<'_>, packet: dfm_runtime::Carried) -> PyResult<Self> {
        let hole = |dfm_runtime::Hole { at, packet, begin, len }| Hole { at, packet, begin, size: len };
        let content = Py::new(py, Memory::new(Part::Inline(packet.bytes)))?.into_any();
        Ok(Self { to: packet.to, content, holes: packet.holes.into_iter().map(hole).collect() })
    }
}
