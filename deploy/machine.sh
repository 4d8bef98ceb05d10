#!/usr/bin/env bash
# Brings a Debian machine what pip and npm cannot: `machine.sh python` for the virtual
# environment, `machine.sh tests` for the servers and the browser that the tests drive.
# Installs only what is missing, and only as root; otherwise it says what to install.
set -euo pipefail

missing=()
need() { # need PACKAGE TEST...: remember PACKAGE when the test fails
    local package=$1
    shift
    "$@" >/dev/null 2>&1 || missing+=("$package")
}

python=${PYTHON:-$(command -v python3.11 || command -v python3 || true)}
case ${1:-} in
python)
    if [ -n "$python" ]; then
        "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
            echo "Rabta needs Python 3.11 or later; this is $("$python" --version). Set PYTHON=/path/to/python3.11." >&2
            exit 1
        }
        need python3-venv "$python" -c 'import venv, ensurepip'
    else
        missing+=(python3 python3-venv)
    fi
    ;;
tests)
    need postgresql ls /usr/lib/postgresql/15/bin/initdb
    need redis-server command -v redis-server
    need nginx ls /usr/sbin/nginx
    need clamav-daemon ls /usr/sbin/clamd
    need chromium command -v chromium
    need fonts-noto-core ls /usr/share/fonts/truetype/noto/NotoSans-Regular.ttf
    need fonts-noto-extra ls /usr/share/fonts/truetype/noto/NotoNastaliqUrdu-Regular.ttf
    need procps command -v ps
    ;;
*)
    echo "usage: machine.sh python|tests" >&2
    exit 2
    ;;
esac

[ ${#missing[@]} -eq 0 ] && exit 0
if ! command -v apt-get >/dev/null || [ "$(id -u)" -ne 0 ]; then
    echo "This machine lacks: ${missing[*]}. Install them (Debian: apt-get install ${missing[*]}) and try again." >&2
    # On a laptop the tests that need them are skipped with the reason; in CI a missing part fails.
    [ "${1}" = tests ] && [ "${RABTA_REQUIRE_ALL:-}" != 1 ] && exit 0
    exit 1
fi
export DEBIAN_FRONTEND=noninteractive
# Only the programs are needed: no service of Debian's shall start and listen beside ours.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod +x "$policy"
fi
apt-get update -qq
apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
