#!/bin/bash
# A standby: copies the primary where its folder is empty, and follows it.
set -euo pipefail
data=/var/lib/postgresql/data
export PGPASSWORD
PGPASSWORD=$(cat /run/secrets/db-password)
if [ ! -s "$data/PG_VERSION" ]; then
  chmod 700 "$data"
  pg_basebackup --dbname "host=$PRIMARY user=replicator application_name=$STANDBY" --pgdata "$data" --write-recovery-conf --checkpoint fast
fi
exec postgres -D "$data"
