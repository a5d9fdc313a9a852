"""The deployed template on one machine: real functions, queue and state machine, no Docker, no account."""

from infra.localcloud.cloud import LocalCloud as LocalCloud
