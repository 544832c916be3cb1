#!/bin/sh
# Makes ./secrets for docker-compose.yml. Refuses to overwrite: a lost data key is lost data.
set -eu
umask 077
[ -e secrets ] && { echo "The folder secrets is already there; nothing was changed." >&2; exit 1; }
mkdir secrets
hex() { od -An -tx1 -N"$1" /dev/urandom | tr -d ' \n'; }
hex 40 > secrets/django_secret_key
hex 32 > secrets/index_key
printf '{"keys": {"k1": "%s"}, "current": "k1"}' "$(hex 32)" > secrets/data_keys
hex 32 > secrets/audit_signer_key
hex 32 > secrets/backup_key
hex 24 > secrets/database_password
hex 24 > secrets/database_owner_password
hex 10 > secrets/object_access_key
hex 24 > secrets/object_secret_key
: > secrets/directory_secret  # put in what the hospital's directory gave you: see docs/administrator/signing-in.md
chmod 700 secrets && chmod 444 secrets/*  # the folder keeps others out; containers read as their own user
echo "Made ./secrets. Keep a copy of secrets/data_keys, secrets/index_key and secrets/backup_key where this server's backup is not."
