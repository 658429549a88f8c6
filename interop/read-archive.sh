#!/bin/sh
# Reads an archive without the program that made it: sha512sum, jq and openssl are enough.
#
#     read-archive.sh ARCHIVE [CERTIFICATE.pem …]
#
# First every blob is hashed and compared with its name. Then every entry is printed on standard
# output as one line of JSON: its key, when it was received, the metadata text exactly as it was
# signed, the signature, and which of the certificates verifies it (null when none does).
# Whatever is not as it should be is said on standard error, and the exit code is 1.
set -eu

main() {
    if [ $# -eq 0 ] || [ ! -d "$1/blobs" ]; then
        echo "usage: $0 ARCHIVE [CERTIFICATE.pem …]" >&2
        exit 2
    fi
    archive=$1
    shift
    scratch=$(mktemp -d)
    trap 'rm -rf "$scratch"' EXIT

    check_blobs
    for certificate in "$@"; do
        # Only the key counts: these certificates may have expired long ago.
        openssl x509 -in "$certificate" -noout -pubkey >"$scratch/$(basename "$certificate").pub"
    done
    find "$archive/entries" -type f -name '*.json' | LC_ALL=C sort | while read -r file; do
        read_entry "$file"
    done
    if [ -e "$scratch/damaged" ]; then exit 1; fi
}

# A blob lies at blobs/<aa>/<bb>/<sha512>; sha512sum reads a list of names and expected digests.
check_blobs() {
    find "$archive/blobs" -type f | awk -F/ '{ print $NF "  " $0 }' >"$scratch/blobs"
    [ ! -s "$scratch/blobs" ] || sha512sum --check --quiet "$scratch/blobs" >&2 || : >"$scratch/damaged"
}

# An entry lies at entries/<aa>/<key name>/<received>-<id>.json and holds ["metadata", "signature"].
read_entry() {
    file=$1
    key_folder=$(dirname "$file")
    read_key "$key_folder" >"$scratch/key"
    jq -j '.[0]' "$file" >"$scratch/metadata"
    jq -j '.[1]' "$file" | tr -d ' \t\r\n\v\f' | base64 -d >"$scratch/signature"

    file_name=$(basename "$file" .json)
    id=$({ cat "$scratch/metadata"; printf '\0'; cat "$scratch/signature"; } | first_word sha512sum)
    expect "$file: id" "${file_name#*-}" "$id"
    expect "$file: folder of the key" "$(basename "$(dirname "$key_folder")")" \
        "$(first_word sha256sum <"$scratch/key" | cut -c 1-2)"

    jq -c --rawfile key "$scratch/key" --arg received "${file_name%%-*}" \
        --argjson signed_by "$(signer | jq -R . | jq -s '.[0]')" \
        '{key: $key, received: $received, metadata: .[0], signature: .[1], signed_by: $signed_by}' \
        "$file"
}

# The name of a key's folder spells the key, or else a file %key beside the entries holds it.
read_key() {
    name=$(basename "$1")
    case $name in
        %sha256-*)
            expect "$1: name" "${name#%sha256-}" "$(first_word sha256sum <"$1/%key")"
            cat "$1/%key"
            ;;
        *) env printf '%b' "$(printf '%s' "$name" | sed 's/%\(..\)/\\x\1/g')" ;;
    esac
}

signer() {
    for public_key in "$scratch"/*.pub; do
        if [ -s "$scratch/signature" ] && [ -e "$public_key" ] && openssl dgst -sha1 \
            -verify "$public_key" -signature "$scratch/signature" "$scratch/metadata" \
            >/dev/null 2>&1; then
            basename "$public_key" .pub
            return
        fi
    done
}

first_word() {
    "$@" | cut -d ' ' -f 1
}

expect() {
    if [ "$2" != "$3" ]; then
        echo "$1 says $2, the bytes say $3" >&2
        : >"$scratch/damaged"
    fi
}

main "$@"
