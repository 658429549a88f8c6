# shellcheck shell=bash
# How programs and Python environments come onto a machine; sourced by `test` and `bench`, which
# list what they need.

# Adds to the caller's list of packages.
require_program() {
    local program=$1 package=$2
    command -v "$program" >/dev/null || packages+=("$package")
}

# slapos.core needs a module that is compiled when it is installed. Adds to the caller's list.
require_for_slapos() {
    require_program gcc gcc
    [ -f "$(python3 -c 'import sysconfig; print(sysconfig.get_path("include"))')/Python.h" ] \
        || packages+=(python3-dev)
}

# Installs the caller's list of packages.
install_packages() {
    if [ ${#packages[@]} -eq 0 ]; then
        echo "all there"
        return
    fi
    as_root apt-get update -q
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -q -y --no-install-recommends "${packages[@]}"
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo -n "$@"
    else
        echo "root rights are needed for: $*" >&2
        echo "Run it once as root, then $0 again." >&2
        return 1
    fi
}

# Any version that is there already will do: a developer's newer one is not replaced.
install_cargo_tool() {
    local tool=$1 version=$2
    if cargo "${tool#cargo-}" --version >/dev/null 2>&1; then
        echo "$tool is there"
        return
    fi
    echo "Building $tool $version; this takes several minutes, once."
    cargo install --locked "$tool" --version "$version"
}

# The stamp names the packages, so that changing them makes the environment anew.
install_python_environment() {
    local folder=$1 stamp
    shift
    stamp="$folder/.installed"
    if [ -f "$stamp" ] && [ "$(<"$stamp")" = "$*" ]; then
        echo "$folder is there"
        return
    fi
    rm -rf "$folder"
    python3 -m venv "$folder"
    "$folder/bin/pip" install --quiet --disable-pip-version-check "$@"
    echo "$*" >"$stamp"
}

# The client of today.
install_client_environment() {
    install_python_environment .test/venv "slapos.libnetworkcache==0.30" "setuptools==75.8.0"
}

# slapproxy, and what reads the caches beside the client.
install_slapos_environment() {
    install_python_environment .test/venv-slapos "slapos.core==1.26.1" "slapcache==0.1.12" \
        "slapos.libnetworkcache==0.30" "setuptools==75.8.0"
}
