"""Write the lines of slurm.conf and gres.conf that follow from a mini-cluster's spec."""

from __future__ import annotations

from collections.abc import Mapping

from slurm_sim import _files
from slurm_sim._node_names import group_of
from slurm_sim.config import DEFAULT_PARTITION, GATE_PARTITION, MAX_NODES, NodeGroup, Partition
from slurm_sim.spec import Spec

GPU_FILES = "/run/slurm-sim/gpu"
"""Start of the paths of a node's simulated GPUs: gres.conf demands a device for each."""

SITE_SCRIPTS = {"prolog": "site-prolog", "epilog": "site-epilog", "job_submit": "job_submit.lua"}
"""Files with a mini-cluster's own scripts. Their names have no folder, so that Slurm sends the first two to nodes."""

_USE_OF_SCRIPTS = {"prolog": "Prolog={}", "epilog": "Epilog={}", "job_submit": "JobSubmitPlugins=lua"}

_ALL = "compute"
"""Feature of every node, see slurm.conf."""

_MODES = {"requeue": "REQUEUE", "cancel": "CANCEL", "suspend": "SUSPEND,GANG", "off": "OFF"}


def conf_lines(values: Mapping[str, str | list[str]]) -> str:
    """Return lines of slurm.conf, each with its end; a list is several lines with the same key."""
    return "".join(
        f"{key}={value}\n" for key, given in values.items() for value in (given if isinstance(given, list) else [given])
    )


def own_lines(spec: Spec) -> str:
    """Return a mini-cluster's lines of slurm.conf, which replace those of the default one; the user's come last."""
    fragments = ["accounting"] * spec.accounting + ["rest"] * spec.rest
    folder = _files.root() / "slurm-sim" / "etc" / "with"
    texts = [(folder / f"{name}.conf").read_text(encoding="utf-8") for name in fragments]
    lines = [line for text in texts for line in text.splitlines() if line and not line.startswith("#")]
    lines += [*_gpus(spec), *_preemption(spec), *_partitions(spec), *_scripts(spec)]
    return "".join(f"{line}\n" for line in lines) + conf_lines(spec.slurm_conf)


def _gpus(spec: Spec) -> list[str]:
    types = {kind for group in spec.groups.values() for kind in group.gpu_types}
    if not types:
        return []
    tracked = ["gres/gpu", *(f"gres/gpu:{kind}" for kind in sorted(types) if kind)]
    return ["GresTypes=gpu", *[f"AccountingStorageTRES={','.join(tracked)}"] * spec.accounting]


def _preemption(spec: Spec) -> list[str]:
    if spec.preemption is None:
        return []
    plugin = {"partition": "preempt/partition_prio", "qos": "preempt/qos"}[spec.preemption.by]
    return [f"PreemptType={plugin}", f"PreemptMode={_MODES[spec.preemption.mode]}"]


def _partitions(spec: Spec) -> list[str]:
    lines = []
    has_default = any(partition.default for partition in spec.partitions.values())
    for name, partition in _with_general(spec, has_default=has_default).items():
        whole = partition.nodes is None
        if not whole:
            lines.append(f"NodeSet={feature(name)} Feature={feature(name)}")
        default = partition.default or (name == DEFAULT_PARTITION and not has_default)
        machines = _machines(spec, partition.submit_from)
        nodes = "all" if whole else feature(name)
        lines.append(_partition(name, partition, nodes=nodes, default=default, machines=machines))
    if not spec.plain:
        lines.append(f"PartitionName={GATE_PARTITION} Nodes=all Hidden=YES RootOnly=YES")
    return lines


def _with_general(spec: Spec, *, has_default: bool) -> dict[str, Partition]:
    """Return the partitions; also `general` if its line in slurm.conf is wrong, since another is the default one."""
    general = {DEFAULT_PARTITION: Partition(default_time="1:0:0")} if has_default else {}
    return general | spec.partitions


def _partition(name: str, partition: Partition, *, nodes: str, default: bool, machines: list[str]) -> str:
    words: dict[str, object] = {
        "PartitionName": name,
        "Nodes": nodes,
        "Default": "YES" if default else None,
        "MaxTime": partition.time if partition.time is not None else "1-0",
        "DefaultTime": partition.default_time,
        "PriorityTier": partition.priority,
        "PreemptMode": _MODES[partition.preempt].partition(",")[0] if partition.preempt else None,
        "GraceTime": partition.grace_time,
        "AllowGroups": ",".join(partition.users),
        "AllocNodes": ",".join(machines),
        "AllowAccounts": ",".join(partition.accounts),
        "AllowQos": ",".join(partition.allow_qos),
        "QOS": partition.qos,
        "MinNodes": partition.min_nodes,
        "MaxNodes": partition.max_nodes,
        **partition.options,
    }
    return " ".join(f"{key}={value}" for key, value in words.items() if value not in (None, ""))


def _machines(spec: Spec, names: list[str]) -> list[str]:
    """Return machines with both of their names; of a group, also those of nodes that are added later.

    Slurm takes the name of a machine that submits a job from its address, and Docker's DNS knows its container's.
    """
    all_of = [f"{name}[1-{MAX_NODES}]" if name in spec.groups else name for name in names]
    return [*all_of, *(f"{spec.name}-{name}-1" for name in all_of)]


def _scripts(spec: Spec) -> list[str]:
    return [line.format(SITE_SCRIPTS[key]) for key, line in _USE_OF_SCRIPTS.items() if getattr(spec.scripts, key)]


def feature(partition: str) -> str:
    """Return the feature that the nodes of a partition have, and the name of their node set."""
    return f"partition-{partition}"


def gres_conf(spec: Spec) -> str:
    """Return gres.conf, which all nodes share; it covers nodes that are added later. "" without GPUs."""
    lines = []
    for name, group in spec.groups.items():
        first = 0
        for kind, count in group.gpu_types.items():
            files = f"{GPU_FILES}[{first}-{first + count - 1}]" if count > 1 else f"{GPU_FILES}{first}"
            of_type = f" Type={kind}" if kind else ""
            lines.append(f"NodeName={name}[1-{MAX_NODES}] Name=gpu{of_type} File={files}\n")
            first += count
    return "".join(lines)


def node_environment(spec: Spec, node: str) -> dict[str, str]:
    """Return the variables of a node's entrypoint: the node's part of slurm.conf, and the number of its GPUs."""
    group = spec.groups[group_of(node)]
    words: dict[str, object] = {
        "CPUs": group.cpus,
        "Sockets": group.sockets,
        "CoresPerSocket": group.cores,
        "ThreadsPerCore": group.threads,
        "RealMemory": group.memory_mb,
        "Feature": ",".join(_features(spec, node, group)),
        "Gres": ",".join(f"gpu:{kind}:{count}" if kind else f"gpu:{count}" for kind, count in group.gpu_types.items()),
        "Weight": group.weight,
    }
    conf = " ".join(f"{key}={value}" for key, value in words.items() if value not in (None, ""))
    gpus = sum(group.gpu_types.values())
    return {"SLURM_SIM_NODE": conf} | ({"SLURM_SIM_GPUS": str(gpus)} if gpus else {})


def _features(spec: Spec, node: str, group: NodeGroup) -> list[str]:
    """Return a node's features: a partition holds the nodes that have its feature, also those that come later."""
    partitions = [
        feature(name) for name in spec.partitions if {node, group_of(node)} & set(spec.partition_nodes(name) or [])
    ]
    named = [group_of(node)] if len(spec.groups) > 1 else []
    return list(dict.fromkeys([_ALL, *named, *group.features, *partitions]))
