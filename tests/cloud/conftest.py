from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.localcloud import LocalCloud

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def bridge() -> Iterator[LocalCloud]:
    """A stack with what the local cloud bridges, and nothing of Tidegate."""
    with LocalCloud(
        template=HERE / "templates" / "queue_and_stores.yaml", library=None, stack="bridge"
    ) as cloud:
        yield cloud
