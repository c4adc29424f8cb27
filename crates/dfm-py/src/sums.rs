//! `Party` and what belongs to it: sums of which nobody sees a part, for Python.

use std::collections::HashMap;

use dfm_sums::{Party, Refused, Terms};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::PyBytes;

/// What all sites of a sum know of it before it begins.
#[pyclass(frozen, module = "dfm._native")]
pub struct SumTerms(Terms);

#[pymethods]
impl SumTerms {
    #[new]
    fn new(about: &str, sites: Vec<String>, least: usize, bound: f64, precision: f64) -> PyResult<Self> {
        Terms::new(about, sites, least, bound, precision).map(Self).map_err(error)
    }

    /// How many sites that deceive it withstands.
    #[getter]
    fn dishonest(&self) -> usize {
        self.0.dishonest()
    }
}

/// One site in one sum.
#[pyclass(module = "dfm._native")]
pub struct SumParty(Party);

#[pymethods]
impl SumParty {
    #[new]
    fn new(terms: &SumTerms, site: &str, seed: [u8; 32]) -> PyResult<Self> {
        Party::new(terms.0.clone(), site, seed).map(Self).map_err(error)
    }

    fn keys<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.0.keys())
    }

    fn shares<'py>(
        &mut self,
        py: Python<'py>,
        keys: HashMap<String, PyBackedBytes>,
    ) -> PyResult<HashMap<String, Bound<'py, PyBytes>>> {
        let shares = py.detach(|| self.0.shares(owned(&keys))).map_err(error)?;
        Ok(shares.into_iter().map(|(site, share)| (site, PyBytes::new(py, &share))).collect())
    }

    /// `numbers` are floats as the machine has them.
    fn masked<'py>(
        &mut self,
        py: Python<'py>,
        shares: HashMap<String, PyBackedBytes>,
        numbers: PyBackedBytes,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let masked = py.detach(|| {
            let float = |bytes: &[u8]| f64::from_ne_bytes(bytes.try_into().expect("they are 8"));
            let numbers: Vec<f64> = numbers.chunks_exact(8).map(float).collect();
            self.0.masked(owned(&shares), &numbers)
        });
        Ok(PyBytes::new(py, &masked.map_err(error)?))
    }

    /// Whether one of its numbers is none, or beyond the bound.
    #[getter]
    fn spoils(&self) -> bool {
        self.0.spoils()
    }

    fn agree<'py>(&mut self, py: Python<'py>, survivors: Vec<String>) -> PyResult<Bound<'py, PyBytes>> {
        self.0.agree(survivors).map(|digest| PyBytes::new(py, &digest)).map_err(error)
    }

    fn unmask<'py>(
        &mut self,
        py: Python<'py>,
        agreed: HashMap<String, PyBackedBytes>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        self.0.unmask(owned(&agreed)).map(|told| PyBytes::new(py, &told)).map_err(error)
    }
}

/// The sum of contributions, still masked.
#[pyfunction]
pub fn add_masked<'py>(py: Python<'py>, masked: HashMap<String, PyBackedBytes>) -> PyResult<Bound<'py, PyBytes>> {
    let masked: Vec<_> = masked.into_iter().collect();
    let sum = py.detach(|| dfm_sums::add(&masked));
    Ok(PyBytes::new(py, &sum.map_err(error)?))
}

/// The sum without masks, as floats as the machine has them.
#[pyfunction]
pub fn unmasked<'py>(
    py: Python<'py>,
    terms: &SumTerms,
    keys: HashMap<String, PyBackedBytes>,
    survivors: Vec<String>,
    added: PyBackedBytes,
    told: HashMap<String, PyBackedBytes>,
) -> PyResult<Bound<'py, PyBytes>> {
    let total = py.detach(|| dfm_sums::total(&terms.0, owned(&keys), survivors, &added, owned(&told)));
    let bytes: Vec<u8> = total.map_err(error)?.iter().flat_map(|number| number.to_ne_bytes()).collect();
    Ok(PyBytes::new(py, &bytes))
}

fn owned(said: &HashMap<String, PyBackedBytes>) -> Vec<(String, Vec<u8>)> {
    said.iter().map(|(site, said)| (site.clone(), said.to_vec())).collect()
}

fn error(refused: Refused) -> PyErr {
    PyValueError::new_err(refused.0)
}
