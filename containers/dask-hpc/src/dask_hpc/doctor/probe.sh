#!/bin/bash
# Check a node for `dask-hpc doctor`, without Python, and print one line of NAME=VALUE separated by tabs.
# usage: probe.sh TOKEN ADDRESS PORT MARK [FOLDER…]
token=$1 address=$2 port=$3 mark=$4
shift 4
node=${SLURMD_NODENAME:-$(hostname)}
line=$token
say() { line+=$'\t'"$1=$2"; }

# Connect to doctor, as a worker connects to its scheduler, and send the time.
# shellcheck disable=SC2016
say reach "$([ -z "$address" ] || timeout 3 bash -c \
  'exec 3<>"/dev/tcp/$1/$2" && printf "%s %s %s\n" "$3" "$4" "$(date +%s.%N)" >&3 && echo yes' \
  - "$address" "$port" "$token" "$node" 2>/dev/null)"

n=0
for folder; do
  file=$folder/.dask-hpc-doctor-$token
  if [ ! -d "$folder" ]; then state=absent
  elif [ ! -e "$file" ]; then state=elsewhere
  elif [ -w "$folder" ]; then state=shared # tested, not written to: a cancelled job leaves no file behind
  else state=unwritable; fi
  say "folder$n" "$state"
  n=$((n + 1))
done

size=$(stat -c %s "$mark" 2>/dev/null)
if [ "${size:-0}" -gt 1000000 ]; then say mark "$size"; else say mark "$(sha256sum "$mark" 2>/dev/null | cut -c -64)"; fi
say shm "$(stat -f -c '%b %S' /dev/shm 2>/dev/null)"
say files "$(ulimit -Sn)"
say apptainer "$(command -v apptainer || command -v singularity)"
say namespaces "$(unshare --user true 2>/dev/null && echo yes)"
say node "$node"
printf '%s\n' "$line"
