# shellcheck shell=bash
# shellcheck disable=SC2034 # the lists are for those who source this
# The Debian packages brink needs, and their installation. Sourced by tools/run and tools/test;
# tools/bench runs it through bash. One list a purpose: nobody installs what he does not use.

# What CMakeLists.txt looks for. libcmocka-dev too: every preset configures the tests.
PACKAGES_BUILD=(
    build-essential cmake ninja-build pkg-config python3
    libbrotli-dev libcap-dev libcmocka-dev libconfuse-dev libc-ares-dev libdeflate-dev libevent-dev
    libjansson-dev liblmdb-dev libseccomp-dev libxxhash-dev libzstd-dev zlib1g-dev
)

# tools/run prints curl commands to try.
PACKAGES_RUN=(curl)

# The wire tests use real origins (nginx, apache2), real clients (curl, wget), a real tree of
# documents (python3.11-doc), a real metrics parser (promtool, in prometheus), another parser of
# requests (nodejs), real websockets (python3-websockets), a real attacker (slowhttptest), coders that
# are not brink's own (python3-brotli, python3-zstandard, the command lines) and a browser (chromium,
# the one large download here: 120 MB).
PACKAGES_TEST=(
    python3-pytest python3-websockets curl wget nginx-light apache2 nodejs prometheus python3.11-doc
    slowhttptest python3-brotli python3-zstandard brotli zstd chromium
)

# libFuzzer comes with clang.
PACKAGES_FUZZ=(clang)

PACKAGES_BENCH=(wrk nginx-light)

# The other caches that brink is compared with.
PACKAGES_PEERS=(varnish trafficserver)

# What tools/bench compress sends, and checks its answers with; and more servers, of which it can do
# without any.
PACKAGES_COMPRESS=(libjs-jquery libjs-underscore python3-brotli python3-zstandard)
PACKAGES_COMPRESS_PEERS=(libnginx-mod-http-brotli-filter apache2 caddy)

# Print those of the named packages that are not installed, one a line.
packages_missing()
{
    local package
    for package in "$@"; do
        if [[ $(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null) != installed ]]; then
            printf '%s\n' "$package"
        fi
    done
}

# Install those of the named packages that are missing; say what is installed. 1 when that is
# impossible, after a message that says what to do.
packages_install()
{
    local missing become=()
    if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
        printf 'This is not Debian: please install the equivalents of\n    %s\n' "$*" >&2
        return 1
    fi
    mapfile -t missing < <(packages_missing "$@")
    if ((${#missing[@]} == 0)); then
        return 0
    fi
    printf 'Installing %d Debian packages: %s\n' "${#missing[@]}" "${missing[*]}" >&2
    if ((EUID != 0)); then
        if ! command -v sudo >/dev/null; then
            printf 'Neither root nor sudo is at hand. As root, run this once, then try again:\n' >&2
            printf '    apt-get install %s\n' "${missing[*]}" >&2
            return 1
        fi
        become=(sudo)
    fi
    packages_apt update ||
        echo 'The package lists could not be refreshed; trying with those at hand.' >&2
    # Slim images leave /usr/share/doc out; the documents of python3.11-doc are what we want of it.
    if ! packages_apt install --yes --no-install-recommends \
        -o Dpkg::Options::=--path-include='/usr/share/doc/*' "${missing[@]}"; then
        printf 'The installation failed; its output is above. Missing:\n    %s\n' \
            "${missing[*]}" >&2
        return 1
    fi
}

# apt-get without questions. RUNLEVEL=1: where there is no systemd, a package that brings a
# service does not start it. Reads `become` of packages_install.
packages_apt()
{
    "${become[@]}" env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
        apt-get -qq -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=300 "$@" </dev/null >&2
}
