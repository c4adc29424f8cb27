//! How does the module make its plain classes, its enums, and its choices between classes?

use pyo3::exceptions::PyRuntimeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyList, PyType};

/// Classes of the module that have these fields and nothing else. A `match` takes them apart in this order.
macro_rules! classes {
    ($($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $field:ident: $type:ty,)* })*) => {$(
        $(#[$meta])*
        #[::pyo3::pyclass(frozen, get_all, new = "from_fields", module = "dfm._native")]
        pub struct $name {
            $($(#[$doc])* pub $field: $type,)*
        }

        #[::pyo3::pymethods]
        impl $name {
            #[classattr]
            #[pyo3(name = "__match_args__")]
            fn match_args(py: ::pyo3::Python<'_>) -> ::pyo3::PyResult<::pyo3::Bound<'_, ::pyo3::types::PyTuple>> {
                ::pyo3::types::PyTuple::new(py, [$(stringify!($field)),*] as [&str; _])
            }
        }
    )*};
}
pub(crate) use classes;

/// An `enum.Enum` of the module, made when it is first asked for. A member's value is its place.
pub struct Members<const N: usize> {
    name: &'static str,
    members: [&'static str; N],
    made: PyOnceLock<(Py<PyAny>, [Py<PyAny>; N])>,
}

impl<const N: usize> Members<N> {
    /// An enum of these members.
    pub const fn new(name: &'static str, members: [&'static str; N]) -> Self {
        Self { name, members, made: PyOnceLock::new() }
    }

    /// The class.
    pub fn class<'py>(&'static self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        Ok(self.made(py)?.0.bind(py).clone())
    }

    /// The member at this place: the same object each time.
    pub fn member(&'static self, py: Python<'_>, place: usize) -> PyResult<Py<PyAny>> {
        Ok(self.made(py)?.1[place].clone_ref(py))
    }

    fn made(&'static self, py: Python<'_>) -> PyResult<&'static (Py<PyAny>, [Py<PyAny>; N])> {
        self.made.get_or_try_init(py, || {
            let members = PyList::new(py, self.members.iter().zip(0..N))?;
            let class = py.import("enum")?.getattr("Enum")?.call1((self.name, members))?;
            class.setattr(intern!(py, "__module__"), "dfm._native")?;
            let made = self.members.iter().map(|member| Ok(class.getattr(*member)?.unbind()));
            let made: Vec<_> = made.collect::<PyResult<_>>()?;
            let made =
                made.try_into().map_err(|_| PyRuntimeError::new_err("an enum has other members than it was given"))?;
            Ok((class.unbind(), made))
        })
    }
}

/// Any of these classes.
///
/// # Errors
/// There is none.
pub fn any_of<'py>(classes: &[Bound<'py, PyType>]) -> PyResult<Bound<'py, PyAny>> {
    let (first, rest) = classes.split_first().ok_or_else(|| PyRuntimeError::new_err("a choice between nothing"))?;
    rest.iter().try_fold(first.clone().into_any(), |all, class| all.bitor(class))
}
