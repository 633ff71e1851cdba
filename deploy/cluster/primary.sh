#!/bin/bash
# Run once by the image of PostgreSQL in the primary's new data folder. Commits wait for one of two standbys from the next start on.
set -euo pipefail
password=$(cat /run/secrets/db-password)
psql --set ON_ERROR_STOP=1 --set password="$password" --username claimwire --dbname claimwire <<'SQL'
create role replicator with replication login password :'password';
alter system set synchronous_commit = 'on';
alter system set synchronous_standby_names = 'any 1 (standby_2, standby_3)';
SQL
echo "host replication replicator all scram-sha-256" >> "$PGDATA/pg_hba.conf"
