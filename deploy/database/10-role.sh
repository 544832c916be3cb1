#!/bin/sh
# Runs once, as the database's folder is first made. The platform's role owns its database and is no superuser: row-level
# security, the second wall around patients, does not hold for superusers.
set -eu
psql -v ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname postgres -v password="$(cat /run/secrets/database_password)" <<'SQL'
CREATE ROLE salus LOGIN CREATEDB NOSUPERUSER NOBYPASSRLS PASSWORD :'password';
CREATE DATABASE salus OWNER salus;
SQL
