#!/bin/sh
# Reads an archive without the program that made it: sha512sum, jq and openssl are enough.
#
#     read-archive.sh ARCHIVE [CERTIFICATE.pem …]
#
# First every blob is hashed and compared with its name. Then every entry is printed on standard
# output as one line of JSON: its key, when it was received, the metadata text exactly as it was
# signed, the signature, which of the certificates verifies it (null when none does), and whether
# the entry was taken out of sight later.
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
    [ ! -s "$scratch/blobs" ] || sha512sum --check --quiet "$scratch/blobs" >&2 ||
        damaged "$archive/blobs: see above"
}

# An entry lies at entries/<aa>/<key name>/<received>-<id>.json and holds ["metadata", "signature"].
read_entry() {
    file=$1
    key_folder=$(dirname "$file")
    if ! jq -e 'length == 2 and all(type == "string")' "$file" >"$scratch/answer" 2>&1; then
        damaged "$file: not an entry"
        return
    fi
    read_key "$key_folder" >"$scratch/key"
    jq -j '.[0]' "$file" >"$scratch/metadata"
    jq -j '.[1]' "$file" | tr -d ' \t\r\n\v\f' | base64 -d >"$scratch/signature" ||
        damaged "$file: the signature is not base64"

    name=$(basename "$file" .json)
    received=${name%%-*}
    id=${name#*-}
    fan_out=$(basename "$(dirname "$key_folder")")
    expect "$file: id" "$id" \
        "$({ cat "$scratch/metadata"; printf '\0'; cat "$scratch/signature"; } | first_word sha512sum)"
    expect "$file: folder of the key" "$fan_out" \
        "$(first_word sha256sum <"$scratch/key" | cut -c 1-2)"

    jq -c --rawfile key "$scratch/key" --arg received "$received" --argjson hidden "$(hidden)" \
        --argjson signed_by "$(signer | jq -R . | jq -s '.[0]')" \
        '{$key, $received, metadata: .[0], signature: .[1], $signed_by, $hidden}' \
        "$file"
}

# A tombstone hides the entry with its id that was received before it.
hidden() {
    for tombstone in "$archive/tombstones/entries/$fan_out/$(basename "$key_folder")"/*-"$id.json"; do
        deleted=$(basename "$tombstone")
        deleted=${deleted%%-*}
        if [ -e "$tombstone" ] &&
            [ "$(printf '%s\n' "$deleted" "$received" | LC_ALL=C sort | head -n 1)" = "$received" ]; then
            echo true
            return
        fi
    done
    echo false
}

# The name of a key's folder spells the key, or else a file %key beside the entries holds it.
read_key() {
    folder_name=$(basename "$1")
    case $folder_name in
        %sha256-*)
            expect "$1: name" "${folder_name#%sha256-}" "$(first_word sha256sum <"$1/%key")"
            cat "$1/%key"
            ;;
        *) env printf '%b' "$(printf '%s' "$folder_name" | sed 's/%\(..\)/\\x\1/g')" ;;
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
    [ "$2" = "$3" ] || damaged "$1: says $2, the bytes say $3"
}

damaged() {
    echo "$1" >&2
    : >"$scratch/damaged"
}

main "$@"
