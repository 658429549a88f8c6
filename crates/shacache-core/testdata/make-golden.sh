#!/bin/sh
# Makes golden/ anew: certificates by openssl 3.0, entries by two releases of the real Python tool.
# Keys are made for the occasion and thrown away, so every run gives other bytes of the same kind.
# Needs python3, openssl, and pip to get slapos.libnetworkcache.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
out=$here/golden
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

python3 -m venv new && new/bin/pip --quiet install slapos.libnetworkcache==0.30
python3 -m venv old && old/bin/pip --quiet install slapos.libnetworkcache==0.20
rm -rf "$out" && mkdir "$out"

# As the tool makes it: RSA-1024, version 3, CA:TRUE, a hundred years.
new/bin/generate-signature-key --cert-file tool.pem tool.key 'the real tool'
# The same kind with a longer key, and signed with SHA-1 as before 2014.
openssl req -x509 -nodes -days 36500 -subj '/CN=signed with SHA-1' -sha1 \
    -newkey rsa:2048 -keyout sha1.key -out sha1.pem
# Version 1: what `x509 -req` makes without extensions.
openssl req -new -nodes -subj '/CN=version 1' -newkey rsa:1024 -keyout version-1.key -out request
openssl x509 -req -days 3650 -in request -signkey version-1.key -out version-1.pem
# Expired in 2012, and valid until the last second that X.509 can say.
cat > ca.conf <<'CA'
[ca]
default_ca = ca_default
[ca_default]
database = index
serial = serial
new_certs_dir = .
default_md = sha256
policy = policy
email_in_dn = no
[policy]
commonName = supplied
CA
dated() { # name, common name, first second, last second
    : > index && echo 01 > serial
    openssl req -new -nodes -subj "/CN=$2" -newkey rsa:1024 -keyout "$1.key" -out request
    openssl ca -batch -notext -config ca.conf -selfsign -keyfile "$1.key" -in request -out "$1.pem" \
        -startdate "$3" -enddate "$4"
}
dated expired 'expired in 2012' 20020101000000Z 20120101000000Z
dated eternal 'until the year 9999' 19500101000000Z 99991231235959Z
# Certificates whose keys verify nothing here.
openssl req -x509 -nodes -subj '/CN=short' -newkey rsa:512 -keyout short.key -out short.pem
openssl req -x509 -nodes -subj '/CN=EC' -newkey ec -pkeyopt ec_paramgen_curve:P-256 -keyout ec.key \
    -out ec.pem
openssl req -x509 -nodes -subj '/CN=Ed25519' -newkey ed25519 -keyout ed25519.key -out ed25519.pem
openssl req -x509 -nodes -subj '/CN=PSS' -newkey rsa-pss -keyout pss.key -out pss.pem

rm 01.pem # the copy that `openssl ca` keeps
cp ./*.pem "$out"
for signer in tool sha1 version-1 expired eternal; do
    new/bin/python "$here/record-upload.py" "$out/$signer.json" "$signer.key" "$signer.pem"
done
new/bin/python "$here/record-upload.py" "$out/unsigned.json"
old/bin/python "$here/record-upload.py" "$out/wrapped-tool.json" tool.key tool.pem
old/bin/python "$here/record-upload.py" "$out/wrapped-sha1.json" sha1.key sha1.pem
