"""The inner end of the bridge: stand-ins for Slurm's commands in a SIF that `apptainer/site/dask-hpc` starts.

The SIF contains no Slurm: Slurm's version, configuration and keys are the cluster's. Inside, `sbatch` and a few others
are stand-ins (`shim.py`) that send each call over a Unix socket to the launcher outside, which runs the cluster's
command of that name. Each call is one connection:

request
    ``DHB1``, the length of the rest (4 bytes, big endian), then fields separated by NUL bytes: command, working
    directory, number of arguments, the arguments, and NAME=VALUE for each of Slurm's variables. Commands listed in
    ``$DASK_HPC_BRIDGE_TAKES`` pass variables on to jobs: for them, all variables that the image does not set. The
    caller's standard input, output and error come with it as three file descriptors, so nothing is copied: input of
    any size, binary output and a closed pipe work as without the bridge.
later
    From the caller, one byte for each signal that it receives; when it exits, the end of the stream.
reply
    One line: ``exited STATUS``, ``signaled NUMBER`` or ``refused REASON``; then the end of the stream.

The socket is in a folder that only its user can enter, and both ends ask the kernel for the user of the other process.
The list of commands guards against surprises, not against the user: a user who may run sbatch may run anything.
"""
