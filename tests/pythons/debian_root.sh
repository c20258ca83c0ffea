#!/usr/bin/env bash
# A root of another Debian release, for the Pythons that it has: trixie 3.13, forky 3.14 and 3.15.
# Needs root and debootstrap (apt-get install debootstrap), and takes a minute.
#
#   tests/pythons/debian_root.sh trixie build/roots/trixie 3.13
#   tests/pythons/debian_root.sh forky build/roots/forky 3.14 3.15
#   python tests/pythons/run_pythons.py --root build/roots/trixie --root build/roots/forky
#
# Remove it with: umount DIR/proc && rm -r DIR
set -euo pipefail
suite=${1:?release, such as trixie} folder=${2:?folder to make}
shift 2
command -v debootstrap > /dev/null || {
  echo "debootstrap is missing: apt-get install debootstrap" >&2
  exit 2
}
packages=python3,python3-venv,python3-dev,gcc,g++,make,git,ca-certificates
for version in "$@"; do
  packages+=,python$version,python$version-venv,python$version-dev
done
# The source that apt uses here, which may be a mirror; else Debian's own.
source=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2> /dev/null |
  grep -Eo 'https?://[^ ]*debian/?( |$)' | head -n 1 | tr -d ' ' || true)
# A release that this debootstrap is too old to know is made like any other.
script=/usr/share/debootstrap/scripts/$suite
[ -e "$script" ] || script=/usr/share/debootstrap/scripts/sid
debootstrap --variant=minbase --include="$packages" "$suite" "$folder" \
  "${source:-http://deb.debian.org/debian}" "$script"
# The index of packages is reached from within as from here.
cp -L /etc/resolv.conf /etc/hosts "$folder/etc/"
cp -L /etc/ssl/certs/ca-certificates.crt "$folder/etc/ssl/certs/"
[ ! -f /etc/pip.conf ] || cp /etc/pip.conf "$folder/etc/"
mountpoint -q "$folder/proc" || mount -t proc proc "$folder/proc"
echo "$folder: $(chroot "$folder" python3 --version)"
