"""The buckets of a deployment and the memory of its functions, from their environment."""

from collections.abc import Mapping
from functools import cache
from typing import Any

from tidegate.stores.s3 import S3Objects

Environment = Mapping[str, str]


def bucket(environment: Environment, variable: str) -> S3Objects:
    """The bucket that a variable of the environment names.

    `AWS_ENDPOINT_URL`, which is set on emulators only, leads to the emulator.
    """
    return _bucket(
        environment[variable], environment.get("AWS_ENDPOINT_URL", ""), environment.get("AWS_REGION", "")
    )


def memory_of_function(environment: Environment) -> int:
    """The memory that a function is billed for, MB, as Lambda says it; 0 where it does not."""
    return int(environment.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", 0))


@cache
def _bucket(name: str, endpoint: str, region: str) -> S3Objects:
    settings: dict[str, Any] = {"region": region} if region else {}
    if endpoint:
        settings |= {
            "endpoint": endpoint,
            "client_options": {"allow_http": True},
            "virtual_hosted_style_request": False,
        }
    return S3Objects(name, **settings)
