"""Square random matrices and find their eigenvalues with futures: intermediate results never reach the client.

The tutorial's "distributed.Future | The map/reduce paradigm": `client.map(squared, …)`, `client.map(np.linalg.eigvals,
…)`, `client.gather`. Its cells show `eig_lst[0]`, which was never defined (`squared_mat_lst` is meant). It makes the
matrices in the client, and all of them go to the scheduler inside the graph: that is why its first cell takes 9 s.
Here the workers make them, and only the eigenvalues come back.
"""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter

import numpy as np
from distributed import Client, Future, LocalCluster, wait

Seeds = list[np.random.SeedSequence]


@dataclass(frozen=True)
class Result:
    """The squares' eigenvalues, their distance from NumPy's, the times in seconds, and whether calls were repeated."""

    eigenvalues: list[np.ndarray]
    distance: float
    seconds: dict[str, float]
    purity: dict[str, bool]


def random_matrix(n: int, seed: np.random.SeedSequence) -> np.ndarray:
    """Return n × n numbers in [0, 1). The same seed gives the same matrix, on any worker: the function is pure."""
    return np.random.default_rng(seed).random((n, n))


def squared(matrix: np.ndarray) -> np.ndarray:
    """Return the matrix times itself."""
    return np.asarray(matrix @ matrix)


def unseeded(n: int) -> np.ndarray:
    """Return different numbers at every call, like the tutorial's `random_matrix`: not a pure function."""
    return np.random.default_rng().random(n)


def pipeline(client: Client, n: int, seeds: Seeds) -> tuple[list[Future], list[Future], list[np.ndarray]]:
    """Return the futures of the matrices and of their squares, and the squares' eigenvalues."""
    matrices = client.map(random_matrix, [n] * len(seeds), seeds)
    squares = client.map(squared, matrices)
    eigenvalues = client.map(np.linalg.eigvals, squares)
    return matrices, squares, client.gather(eigenvalues)


def plain(n: int, seeds: Seeds) -> list[np.ndarray]:
    """Compute the same eigenvalues with NumPy alone, in this process."""
    return [np.linalg.eigvals(squared(random_matrix(n, seed))) for seed in seeds]


def distance(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Return the Hausdorff distance of two spectra, relative to the largest eigenvalue; their order does not matter."""
    ours_to_theirs = max(np.abs(theirs - one).min() for one in ours)
    theirs_to_ours = max(np.abs(ours - one).min() for one in theirs)
    return float(max(ours_to_theirs, theirs_to_ours) / np.abs(theirs).max())


def square_again(client: Client, matrices: list[Future]) -> tuple[list[Future], Future]:
    """Submit all squares again, and the first with pure=False: by default Dask assumes that functions are pure."""
    again = client.map(squared, matrices)
    impure = client.submit(squared, matrices[0], pure=False)
    with client.as_current():
        wait([*again, impure])
    return again, impure


def draw_twice(client: Client, *, pure: bool) -> list[list[float]]:
    """Draw twice without a seed; with `pure`, the second draw is the first."""
    drawn = [client.submit(unseeded, 4, pure=pure) for _ in range(2)]
    return [numbers.tolist() for numbers in client.gather(drawn)]


def main(client: Client, n: int = 300, matrices: int = 8, seed: int = 42, compare: int = 8) -> Result:
    """Square random matrices and find their eigenvalues with futures: intermediate results never reach the client.

    The same n, matrices and seed give the same eigenvalues on any number of workers, up to the rounding of their
    processors.

    Args:
        client: the client of a Dask cluster.
        n: Rows of a matrix.
        matrices: Number of matrices.
        seed: Seed of the random numbers.
        compare: Number of matrices that NumPy also computes in the client, one after the other.
    """
    seeds = np.random.SeedSequence(seed).spawn(matrices)
    client.run(plain, 2, seeds[:1])  # a worker's first call imports NumPy and starts BLAS: that is not timed
    start = perf_counter()
    made, squares, ours = pipeline(client, n, seeds)
    middle = perf_counter()
    theirs = plain(n, seeds[:compare])
    end = perf_counter()
    again, impure = square_again(client, made)
    draws = {pure: draw_twice(client, pure=pure) for pure in (True, False)}
    purity = {
        "squared again: the same keys": [one.key for one in again] == [one.key for one in squares],
        "squared with pure=False: a new key": impure.key not in {one.key for one in squares},
        "drawn twice: the same numbers": draws[True][0] == draws[True][1],
        "drawn twice with pure=False: the same numbers": draws[False][0] == draws[False][1],
    }
    seconds = {"Dask": middle - start, "NumPy alone, its BLAS on all cores": end - middle}
    return Result(ours, max(map(distance, ours, theirs), default=0.0), seconds, purity)


if __name__ == "__main__":
    # threads of this process: no port accepts work from other users of this machine
    loopback = {"dashboard_address": "127.0.0.1:0", "worker_dashboard_address": "127.0.0.1:0"}
    with LocalCluster(processes=False, **loopback) as cluster, Client(cluster) as client:
        result = main(client)
    print(f"The eigenvalues differ from NumPy's by at most {result.distance:.1e} of the largest one.")
    print(", ".join(f"{name}: {seconds:.3f} s" for name, seconds in result.seconds.items()))
    for call, holds in result.purity.items():
        print(f"{call}: {'yes' if holds else 'no'}")
