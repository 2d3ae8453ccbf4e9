#!/bin/sh
# Installs Debian's package chromium, in which the page of a report is tested.
set -eu
fail() { echo "$0: $1: install Chromium or Chrome, then go on" >&2; exit 1; }
command -v apt-get > /dev/null || fail "there is no apt-get here"
as_root=
if [ "$(id -u)" != 0 ]; then
    command -v sudo > /dev/null || fail "neither root nor sudo is here"
    as_root=sudo
fi
$as_root apt-get update -qq || fail "Debian's packages can't be listed"
$as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get install -qq --no-install-recommends chromium fonts-dejavu-core ||
    fail "Debian's package chromium can't be installed"
