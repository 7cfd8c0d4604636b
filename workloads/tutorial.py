# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: dask-hpc
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Dask on a cluster
#
# Ten minutes with Dask. Start here: everything uses Dask and NumPy only, and runs wherever these two are installed, as
# a notebook or with `python tutorial.py`. Every section names a workload that goes deeper: a short script beside this
# one, which `dask-hpc run NAME --on slurm` measures and checks. The sizes fit a laptop. On a real cluster, increase
# them: the original tutorial uses `n = 5000` and 8 matrices.

# %%
import math
from time import perf_counter

import dask
import dask.array as da
import numpy as np
from distributed import Client, LocalCluster
from numpy.typing import NDArray

Matrix = NDArray[np.float64]
n, matrices = 500, 4

# %% [markdown]
# ## A Dask cluster of Slurm jobs
#
# In the dask-hpc environment, `cluster` asks Slurm for the size of its nodes and starts a matching
# `dask_jobqueue.SLURMCluster`. It shows the settings with their reasons, and the script that every job runs. All
# connections are encrypted, with keys made for this run. You can set every option yourself:
# `cluster(jobs=4, cores=16, memory="32GiB", walltime="1:00:00")`. Without Slurm it is a `LocalCluster`; in any other
# environment we start one ourselves.

# %%
try:
    from dask_hpc import cluster
except ImportError:
    # threads of this process: no port accepts work from other users of this machine
    loopback = {"dashboard_address": "127.0.0.1:0", "worker_dashboard_address": "127.0.0.1:0"}
    dask_cluster = LocalCluster(n_workers=2, threads_per_worker=1, processes=False, **loopback)
    client = Client(dask_cluster)
else:
    dask_cluster = cluster().start()
    client = dask_cluster.client

# %% [markdown]
# The client connects this notebook to the scheduler. The dashboard shows every task as it runs: follow the link, and
# keep it open beside the notebook.

# %%
client

# %%
# !squeue

# %% [markdown]
# ## First glance: an array in blocks
#
# *Workload: `partitioned-array`.* A Dask array looks like NumPy's, but it is a plan: six blocks, none of which has been
# computed yet.

# %%
chunks = ((7000, 3000), (6000, 2000, 2000))
partitioned_array = da.random.default_rng(0).random((10000, 10000), chunks=chunks)
partitioned_array

# %%
block = partitioned_array.blocks[0, 1]
block

# %% [markdown]
# Dask computes only the block that you ask for, on a worker, and sends back only the answer.

# %%
print(f"{partitioned_array.nbytes / 2**20:.2f} MiB in all, {block.nbytes / 2**20:.2f} MiB in this block")
print(f"its mean: {block.mean().compute():.4f}")

# %% [markdown]
# ## Monte Carlo π
#
# *Workload: `monte-carlo-pi`.* The share of random points in the unit square that fall inside the circle is π/4. The
# points are cut into chunks, and each chunk is a task.


# %%
def estimate_pi(runs: int, chunks: int) -> float:
    """Estimate π from `runs` random points."""
    xy = da.random.default_rng(42).random((2, runs), chunks=(2, runs // chunks))
    inside = (xy**2).sum(axis=0) < 1
    return 4 * float(inside.mean().compute())


runs = 4_000_000
for count in (1, 2, 8, 32, 128):
    start = perf_counter()
    pi = estimate_pi(runs, count)
    seconds = perf_counter() - start
    print(f"{count:4} chunks: π = {pi:.5f}, {seconds:.2f} s")

# %% [markdown]
# One chunk keeps one worker busy; as many chunks as cores keep all workers busy. Many more cost time instead: Dask
# needs a millisecond or two per task, more than such a task itself takes. The error does not depend on the chunks,
# only on the number of points. Here it is about

# %%
error = 4 * math.sqrt(math.pi / 4 * (1 - math.pi / 4) / runs)
print(f"{error:.5f}; the last estimate is {abs(pi - math.pi) / error:.1f} times that away from π")
assert abs(pi - math.pi) < 5 * error

# %% [markdown]
# ## `dask.delayed`: any function, later
#
# *Workload: `delayed-sum`.* `delayed` turns a call into a node of a graph. Nothing runs before `compute`; then
# independent nodes run at the same time. The workers make the matrices that they need.


# %%
def random_matrix(n: int, seed: int) -> Matrix:
    """Return an (n, n) matrix of numbers from 0 to 1."""
    return np.random.default_rng(seed).random((n, n))


def squared(matrix: Matrix) -> Matrix:
    """Return the matrix times itself."""
    return matrix @ matrix


squares = [dask.delayed(squared)(dask.delayed(random_matrix)(n, seed)) for seed in range(3)]
total = dask.delayed(sum)(squares)
total

# %%
total.dask

# %%
np.testing.assert_allclose(total.compute(), sum(squared(random_matrix(n, seed)) for seed in range(3)))
print("A² + B² + C² on the workers equals NumPy's result here")

# %% [markdown]
# ## Comparison with a loop
#
# *Workload: `eigenvalues`.* We compute the same eigenvalues one after the other in this process, and at the same time
# on the workers. NumPy's BLAS has one thread everywhere, so this compares cores, not threads.

# %%
start = perf_counter()
spectra = [np.linalg.eigvals(random_matrix(n, seed)) for seed in range(matrices)]
serial = perf_counter() - start

start = perf_counter()
lazy = [dask.delayed(np.linalg.eigvals)(dask.delayed(random_matrix)(n, seed)) for seed in range(matrices)]
parallel_spectra = dask.compute(*lazy)
parallel = perf_counter() - start

for here, there in zip(spectra, parallel_spectra, strict=True):
    np.testing.assert_allclose(np.sort_complex(here), np.sort_complex(there))
print(f"loop {serial:.2f} s, workers {parallel:.2f} s: {serial / parallel:.2f} times as fast")

# %% [markdown]
# One eigenvalue of such a matrix is near n/2. All others are spread evenly over a disk with radius √(n/12): the
# circular law.

# %%
rest = [value for spectrum in parallel_spectra for value in sorted(spectrum, key=abs)[:-1]]
radius = math.sqrt(n / 12)
print(f"the largest: {max(abs(parallel_spectra[0])):.1f}, n/2 is {n / 2:.1f}")
print(f"the farthest of the others: {max(map(abs, rest)):.2f}, √(n/12) is {radius:.2f}")

# %% [markdown]
# In the dask-hpc environment, you can draw them.

# %%
try:
    from dask_hpc.tutorial import Points, draw
except ImportError:
    picture: object = "no picture in this environment"
else:
    circle = [radius * np.exp(2j * math.pi * step / 100) for step in range(101)]
    picture = draw(
        Points(
            title=f"Eigenvalues of {matrices} random matrices, n = {n}",
            x="real part",
            y="imaginary part",
            series={
                "eigenvalues": ([float(z.real) for z in rest], [float(z.imag) for z in rest]),
                "radius √(n/12)": ([float(z.real) for z in circle], [float(z.imag) for z in circle]),
            },
        ),
        one_scale=True,
    )
picture

# %% [markdown]
# ## Futures
#
# *Workload: `futures-pipeline`.* `map` and `submit` start at once, and return futures: references to results that stay
# on the workers. A future can be an argument of the next call, so the matrices are never sent here.

# %%
matrix_list = client.map(random_matrix, [n] * matrices, range(matrices))
squared_list = client.map(squared, matrix_list)
eigenvalue_list = client.map(np.linalg.eigvals, squared_list)
eigenvalue_list[0]

# %%
gathered = client.gather(eigenvalue_list)
for spectrum, of_square in zip(spectra, gathered, strict=True):
    assert math.isclose(max(abs(spectrum)) ** 2, max(abs(of_square)))
print("the eigenvalues of A² are the squares of A's")

# %% [markdown]
# Dask assumes that functions are pure: the same call has the same key, and is not computed again.

# %%
once = client.submit(squared, matrix_list[0])
again = client.submit(squared, matrix_list[0])
print("the same key:", once.key == again.key)

# %% [markdown]
# ## Where the data is
#
# *Workload: `data-locality`.* If a task contains a large matrix of this notebook, the matrix is sent with the graph,
# through the scheduler. Dask warns:


# %%
def trace(matrix: Matrix, factor: float = 1) -> float:
    """Return the sum of the diagonal, times a factor."""
    return factor * float(np.trace(matrix))


local_matrix = random_matrix(2**11, seed=7)
print(f"{local_matrix.nbytes / 1e6:.1f} MB:", dask.delayed(trace)(local_matrix).compute())

# %% [markdown]
# It is better to make the matrix on a worker, or to send it once and refer to it by its future.

# %%
made_there = client.submit(random_matrix, 2**11, seed=7)
print("made on a worker:", dask.delayed(trace)(made_there).compute())

scattered = client.scatter(local_matrix, broadcast=True)
print("sent once:", client.gather(client.map(trace, [scattered] * 3, [0.5, 1, 2])))

# %% [markdown]
# ## Choosing the worker
#
# *Workload: `pinned-tasks`.* Dask's active memory manager drops copies that it considers unnecessary. To keep a copy on
# every worker, stop it.

# %%
workers = list(client.scheduler_info(n_workers=-1)["workers"])
client.amm.stop()
copies = client.scatter(random_matrix(n, seed=8), broadcast=True)
client.who_has(copies)

# %%
first = client.submit(np.trace, copies, workers=workers[0])
last = client.submit(np.max, copies, workers=workers[-1])
print(client.gather([first, last]))
holders = client.who_has([first, last])
assert list(holders[first.key]) == [workers[0]]
assert list(holders[last.key]) == [workers[-1]]
holders

# %% [markdown]
# ## MPI
#
# *Workloads: `mpi-hello`, `dask-mpi`, `hybrid-mpi`.* The environment also has Open MPI and mpi4py. On one machine:

# %% language="bash"
# mpirun -n 5 python -m mpi4py.bench helloworld

# %% [markdown]
# ## The end
#
# Closing the cluster removes everything: workers, jobs and keys. Stopping this notebook's kernel does the same.

# %%
client.close()
dask_cluster.close()

# %%
# !squeue
