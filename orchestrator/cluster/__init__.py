"""Many machines as one: the Ray backend, and what there is to know of nodes. Only here and in searches Ray is imported.

What follows is set before that: Ray reads it when it is imported.
"""

from __future__ import annotations

import os
import secrets

# A node that is cut off is noticed after some 18 s with these; Ray's own settings take 64 s. Every process of a
# cluster needs them (infra/ray.env).
SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_health_check_initial_delay_ms": "2000",
    "RAY_health_check_period_ms": "2000",
    "RAY_health_check_timeout_ms": "5000",
    "RAY_health_check_failure_threshold": "3",
    "RAY_grpc_client_keepalive_time_ms": "10000",
    "RAY_grpc_client_keepalive_timeout_ms": "10000",
}
for _name, _value in SETTINGS.items():
    os.environ.setdefault(_name, _value)
if "RAY_ADDRESS" not in os.environ:
    # A cluster of our own has a token of its own, whatever lies in the user's home.
    os.environ.setdefault("RAY_AUTH_MODE", "token")
    os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
