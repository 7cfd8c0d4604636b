"""The inner end of the bridge: what stands in for Slurm's commands in a SIF, started by `apptainer/site/dask-hpc`.

The SIF has no Slurm in it: Slurm's version, its configuration and its keys are the cluster's. Inside, `sbatch`
and a few others are stand-ins (`shim.py`) that send each call over a Unix socket to the launcher, outside, which
runs the cluster's command of that name. One connection is one call:

request
    ``DHB1``, the length of what follows (4 bytes, big endian), then fields with a NUL byte between them: command,
    working directory, number of arguments, the arguments, and NAME=VALUE of each variable of Slurm's; for the commands
    that ``$DASK_HPC_BRIDGE_TAKES`` names, which hand them on to jobs, of all that the image does not set. Three file
    descriptors come with it: the caller's own standard input, output and error. So there is nothing to copy, and
    input of any size, binary output and a closed pipe are between the caller and the command.
later
    From the caller, a byte for each signal that it got; at its end, the end of the stream.
reply
    One line: ``exited STATUS``, ``signaled NUMBER`` or ``refused REASON``; and the end of the stream.

The socket is in a folder that only its user can enter, and both ends ask the kernel whose process the other one is.
The list of commands guards against surprises, not against the user: a user who may run sbatch may run anything.
"""
