"""The same faults, thrown at every store: a directory, S3 on Ceph, PostgreSQL."""
