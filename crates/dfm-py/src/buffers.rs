//! How do Python's buffers and Rust's bytes become each other without a copy?

use std::ffi::{c_int, c_void};
use std::mem::{self, MaybeUninit};
use std::ptr;
use std::slice;

use dfm_runtime::{MEMORY_POOL, Part, Received, ask_for_huge_pages};
use pyo3::buffer::PyBuffer;
use pyo3::exceptions::PyBufferError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

/// The bytes of a Python object, held for as long as they are read.
pub struct Held(PyBuffer<u8>);

impl Held {
    /// Holds a contiguous buffer of bytes.
    ///
    /// # Errors
    /// A `BufferError` if the object is no such buffer.
    pub fn new(object: &Bound<'_, PyAny>) -> PyResult<Self> {
        let buffer = PyBuffer::get(object)?;
        if buffer.is_c_contiguous() {
            Ok(Self(buffer))
        } else {
            Err(PyBufferError::new_err("the buffer is not contiguous"))
        }
    }
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        if self.0.len_bytes() == 0 {
            return &[];
        }
        // SAFETY: the buffer is contiguous and exported until `self` is dropped. Its bytes are read while the
        // interpreter's lock is held; an adapter that writes from another thread to what it has already returned
        // could be seen doing so, as by every reader of that object, but never outside the buffer.
        #[allow(unsafe_code)]
        unsafe {
            slice::from_raw_parts(self.0.buf_ptr().cast(), self.0.len_bytes())
        }
    }
}

/// These bytes as an object of Python's `bytes`, whose memory has huge pages where they are many.
///
/// # Errors
/// There is no memory.
pub fn bytes_of<'py>(py: Python<'py>, content: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
    // SAFETY: without content, Python makes an object of so many bytes that nobody has seen, for who makes it to fill. They
    // are where `PyBytes_AsString` says, and written once, all of them, from memory that cannot overlap them.
    #[allow(unsafe_code)]
    unsafe {
        let made = ffi::PyBytes_FromStringAndSize(ptr::null(), content.len() as ffi::Py_ssize_t);
        let made = Bound::from_owned_ptr_or_err(py, made)?.cast_into_unchecked::<PyBytes>();
        let start = ffi::PyBytes_AsString(made.as_ptr()).cast::<u8>();
        ask_for_huge_pages(slice::from_raw_parts_mut(start.cast::<MaybeUninit<u8>>(), content.len()));
        ptr::copy_nonoverlapping(content.as_ptr(), start, content.len());
        Ok(made)
    }
}

/// A received part of a value, or a packet to carry, as a writable buffer. Its memory lives as long as any array that looks at it.
#[pyclass(frozen, module = "dfm._native")]
pub struct Memory {
    start: *mut u8,
    len: usize,
    /// Owns what `start` points to.
    _part: Owner,
}

enum Owner {
    Inline { _bytes: Pooled },
    Shared { _segment: Received },
}

/// Memory that is used again once nobody looks at it any more.
pub struct Pooled(pub Vec<u8>);

impl AsRef<[u8]> for Pooled {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Pooled {
    fn drop(&mut self) {
        MEMORY_POOL.give(mem::take(&mut self.0));
    }
}

// SAFETY: the memory belongs to this object alone; what its exports do with it is up to Python, as with a bytearray.
#[allow(unsafe_code)]
unsafe impl Send for Memory {}
// SAFETY: as above; Rust itself never reads or writes through `start`.
#[allow(unsafe_code)]
unsafe impl Sync for Memory {}

impl Memory {
    /// Takes over a part. Neither a vector's nor a mapping's bytes move when their owner does.
    pub fn new(part: Part) -> Self {
        match part {
            Part::Inline(mut bytes) => {
                let (start, len) = (bytes.as_mut_ptr(), bytes.len());
                Self { start, len, _part: Owner::Inline { _bytes: Pooled(bytes) } }
            }
            Part::Shared(mut segment) => {
                let bytes = segment.bytes_mut();
                let (start, len) = (bytes.as_mut_ptr(), bytes.len());
                Self { start, len, _part: Owner::Shared { _segment: segment } }
            }
        }
    }
}

#[pymethods]
impl Memory {
    // SAFETY: PyO3 requires `unsafe` here because `view` is a raw pointer; it is used as Python's protocol says.
    #[allow(unsafe_code)]
    unsafe fn __getbuffer__(this: Bound<'_, Self>, view: *mut ffi::Py_buffer, flags: c_int) -> PyResult<()> {
        let memory = this.get();
        // SAFETY: `view` comes from Python; the object that it is filled with keeps the memory alive until release.
        let failed = unsafe {
            ffi::PyBuffer_FillInfo(
                view,
                this.as_ptr(),
                // Never null, even where there is nothing: Arrow ends the process then.
                memory.start.cast::<c_void>(),
                memory.len as ffi::Py_ssize_t,
                0,
                flags,
            )
        };
        if failed == 0 { Ok(()) } else { Err(PyErr::fetch(this.py())) }
    }

    fn __len__(&self) -> usize {
        self.len
    }
}
