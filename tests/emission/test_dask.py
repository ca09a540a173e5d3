"""Callables for Dask: lazy, chunk by chunk, with the numbers of NumPy's."""

from __future__ import annotations

import numpy as np
import pytest

import matcalc
from matcalc.errors import ArgumentError
from tests.emission.compare import LABELS, differences, labelled, outputs_of, problems

dask = pytest.importorskip("dask")
da = pytest.importorskip("dask.array")

LOGISTIC = "sum(log(1 + exp(-y.*(X*w))))"


def data(m: int = 1000, n: int = 4, chunk: int = 130) -> tuple[dict, dict]:
    rng = np.random.default_rng(0)
    X, y, w = rng.standard_normal((m, n)), np.sign(rng.standard_normal(m)), rng.standard_normal(n)
    chunked = {"X": da.from_array(X, chunks=(chunk, n)), "y": da.from_array(y, chunks=chunk), "w": w}
    return {"X": X, "y": y, "w": w}, chunked


@pytest.mark.parametrize("kind", ["gradient", "hessian"])
def test_logistic_regression_by_chunks_of_samples(kind: str) -> None:
    plain, chunked = data()
    derived = getattr(matcalc.parse(LOGISTIC), kind)("w")
    found = derived.compile(library="dask")(**chunked)
    assert isinstance(found, da.Array)
    assert max(found.numblocks) == 1  # small, in one piece
    np.testing.assert_allclose(found.compute(scheduler="synchronous"), derived.compile()(**plain), rtol=1e-12)


RIDGE = "norm2(X*w - y)^2 + norm2(w)^2"
LOG_DETERMINANT = "logdet(X'*diag(y)*X)"


@pytest.mark.parametrize(
    ("text", "kind", "wrt"),
    [(LOGISTIC, "hessian", "w"), (RIDGE, "newton", "w"), (LOG_DETERMINANT, "gradient", "y")],
)
def test_no_task_holds_all_samples(text: str, kind: str, wrt: str) -> None:
    """Of every task the result is at most a chunk of the data, and no chunk is merged with another."""
    plain, chunked = data(m=1000, n=4, chunk=100)
    plain["y"], chunked["y"] = plain["y"] + 2, chunked["y"] + 2
    derived = getattr(matcalc.parse(text, "X in R^{m x n}; y in R^m; w in R^n"), kind)(wrt)
    fn = derived.compile(library="dask")
    found = fn(**{name: chunked[name] for name in fn.arguments})
    sizes: list[int] = []

    from dask.callbacks import Callback

    class Sizes(Callback):
        def _posttask(self, key, result, graph, state, worker):
            if isinstance(result, np.ndarray) and "array" not in str(key):
                sizes.append(result.size)

    with Sizes():
        found.compute(scheduler="synchronous", optimize_graph=False)
    values = found.compute(scheduler="synchronous")
    np.testing.assert_allclose(values, derived.compile()(**{name: plain[name] for name in fn.arguments}), rtol=1e-10)
    assert sizes
    assert max(sizes) <= max(100 * 4, found.size)


def test_entries_keep_their_chunks() -> None:
    _, chunked = data(chunk=130)
    derived = matcalc.jacobian("sigmoid(X*w)", "w")
    found = derived.compile(library="dask")(X=chunked["X"], w=chunked["w"])
    assert found.chunks[0] == chunked["X"].chunks[0]
    by_data = matcalc.gradient(LOGISTIC, "X").compile(library="dask")(**chunked)
    assert by_data.chunks[0] == chunked["X"].chunks[0]


def test_on_a_cluster() -> None:
    distributed = pytest.importorskip("distributed")
    plain, chunked = data(m=200, chunk=50)
    derived = matcalc.hessian(LOGISTIC, "w")
    with (
        distributed.LocalCluster(n_workers=1, threads_per_worker=2, processes=False, dashboard_address=None) as cluster,
        distributed.Client(cluster) as client,
    ):
        found = client.compute(derived.compile(library="dask")(**chunked)).result()
    np.testing.assert_allclose(found, derived.compile()(**plain), rtol=1e-12)


def test_tasks_travel_between_processes() -> None:
    """Their graph can be written and read again: it holds no reference to our modules."""
    cloudpickle = pytest.importorskip("cloudpickle")
    _, chunked = data(m=100, chunk=50)
    found = matcalc.gradient(LOGISTIC, "w").compile(library="dask")(**chunked)
    text = cloudpickle.dumps(dict(found.__dask_graph__()))
    assert b"matcalc.lowering" not in text


@pytest.mark.parametrize("name", list(problems())[5::20])
def test_numbers_of_numpy(name: str) -> None:
    given = outputs_of(problems()[name])
    if given is None:
        pytest.skip("nothing is derived")

    def chunked(a):
        return da.from_array(a, chunks=tuple(2 if k == 0 else size for k, size in enumerate(a.shape)))

    found = differences("dask", *given, name, chunked, lambda a: a.compute(scheduler="synchronous"))
    if found is not None:
        assert found[0] < 1e-8, found[1]


def test_a_pseudo_inverse_knows_its_precision() -> None:
    rng = np.random.default_rng(0)
    A = (rng.standard_normal((30, 3)) @ rng.standard_normal((3, 20))).astype(np.float32)
    found = matcalc.parse("pinv(A)", "A in R^{m x n}").compile(library="dask")(A=da.from_array(A, chunks=10))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found.compute(), np.linalg.pinv(A.astype(float), rcond=1e-5), atol=1e-5)


def test_a_size_that_is_not_known() -> None:
    plain, chunked = data(m=100, chunk=50)
    there = plain["X"][:, 0] > 0
    g = matcalc.gradient(LOGISTIC, "w").compile(library="dask")
    some = {**chunked, **{name: chunked[name][da.asarray(there)] for name in "Xy"}}
    with pytest.raises(ArgumentError, match="compute_chunk_sizes"):
        g(**some)


@pytest.mark.parametrize("row", LABELS, ids=str)
def test_labels_of_a_batch_are_taken_at_once(row: tuple[str, str, str, str]) -> None:
    labelled("dask", row, lambda a: da.from_array(a, chunks=2), np.asarray)
